"""Who is asking: signed tokens, and the dependencies that admit a request. The only module that knows JOSE."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer, SecurityScopes
from jose import jwt
from jose.exceptions import ExpiredSignatureError, JOSEError

from app.config import KNOWN_DEFAULT_SECRETS, MINIMUM_SECRET_LENGTH, Settings
from app.core.identities import Identities, Principal, TokenClaims
from app.core.limits import Limits
from app.core.refusals import (
    ExpiredTokenError,
    InvalidTokenError,
    MissingScopeError,
    NotAuthenticatedError,
    SignInNeededError,
    TwoCredentialsError,
)
from app.models.user import Scope
from data_pipeline.errors import ClosecastError

__all__ = [
    "AdminUser",
    "CurrentUser",
    "ExpiredTokenError",
    "ForecastUser",
    "InvalidTokenError",
    "MissingScopeError",
    "NotAuthenticatedError",
    "PredictUser",
    "Principal",
    "SignedInUser",
    "StartRefusedError",
    "TokenClaims",
    "Tokens",
    "TrainUser",
    "admit",
    "admit_forecast",
    "admit_request",
    "key_id",
    "now_utc",
    "tokens_from",
]

ALGORITHM = "HS256"  # the only one, on both sides: a token does not choose how it is checked
LONGEST_TOKEN = 1_024  # ours have about 500 characters; nothing longer is parsed
FEWEST_CHARACTERS = 8  # distinct ones: 32 random hexadecimal digits practically never have fewer
REQUIRED_CLAIMS = ("aud", "iat", "exp", "nbf", "iss", "sub", "jti")


class StartRefusedError(ClosecastError):
    """The process must not start like this: the message says which setting to change."""


def now_utc() -> datetime:
    """The present, to the second: tokens know nothing finer."""
    return datetime.now(UTC).replace(microsecond=0)


def key_id(secret: str) -> str:
    """Name of a key: the same in every process, and no help in guessing it."""
    return sha256(b"closecast key id\0" + secret.encode()).hexdigest()[:16]


class Tokens:
    """Signs and verifies tokens.

    Parameters
    ----------
    secrets : the first one signs; each verifies, so that replacing a secret signs nobody out.
    """

    def __init__(
        self, secrets: list[str], *, issuer: str, audience: str, clock: Callable[[], datetime] = now_utc
    ) -> None:
        self._keys: Mapping[str, str] = {key_id(secret): secret for secret in secrets}
        self._signing_key = key_id(secrets[0])
        self._issuer, self._audience, self._clock = issuer, audience, clock

    def sign(
        self,
        kind: Literal["access", "refresh"],
        *,
        user_id: UUID,
        sign_in_id: UUID,
        lifetime: timedelta,
        token_id: UUID | None = None,
        issued_at: datetime | None = None,
    ) -> str:
        """A signed token; the same ids and instants give the same token."""
        issued_at = issued_at or self._clock()
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(sign_in_id),
            "jti": str(token_id or uuid4()),
            "typ": kind,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + lifetime,
        }
        key = self._keys[self._signing_key]
        token: str = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": self._signing_key})
        return token

    def verify(self, token: str, kind: Literal["access", "refresh"]) -> TokenClaims:
        """What ``token`` says, if it is one of ours, of this kind, and in time.

        Raises
        ------
        ExpiredTokenError : it was one of ours.
        InvalidTokenError : anything else.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidTokenError
        try:
            claims = self._decode(token)
            if claims["typ"] != kind:
                raise InvalidTokenError(f"this is no {kind} token")
            return TokenClaims(
                sub=UUID(claims["sub"]),
                sid=UUID(claims["sid"]),
                jti=UUID(claims["jti"]),
                issued_at=datetime.fromtimestamp(claims["iat"], UTC),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except ExpiredSignatureError as error:
            raise ExpiredTokenError from error
        # jose lets through what its own checks stumble over: claims of a wrong type.
        except (JOSEError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidTokenError from error

    def _decode(self, token: str) -> dict[str, Any]:
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        options = {f"require_{claim}": True for claim in REQUIRED_CLAIMS}
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], options=options, audience=self._audience, issuer=self._issuer
        )
        return claims

    def digest(self, text: str) -> bytes:
        """A keyed digest, for what must be recognised but not be readable in the database."""
        return _keyed_digest(self._keys[self._signing_key], text)

    def digests(self, text: str) -> list[bytes]:
        """The digests of ``text`` by every secret: one that was replaced may have made what is stored."""
        return [_keyed_digest(secret, text) for secret in self._keys.values()]


def _keyed_digest(secret: str, text: str) -> bytes:
    return hmac.digest(secret.encode(), text.encode(), "sha256")


def tokens_from(settings: Settings) -> Tokens:
    """The signer of this process.

    Raises
    ------
    StartRefusedError : a secret is missing, short, or one that everybody knows.
    """
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret is not None else ""
    if not secret.strip():
        raise StartRefusedError("CLOSECAST_JWT_SECRET is not set: `openssl rand -hex 32` makes one")
    others = [other.get_secret_value() for other in settings.jwt_other_secrets]
    _refuse_weak_secret(secret, "CLOSECAST_JWT_SECRET")
    for other in others:
        _refuse_weak_secret(other, "a secret of CLOSECAST_JWT_OTHER_SECRETS")
    return Tokens([secret, *others], issuer=settings.jwt_issuer, audience=settings.jwt_audience)


def _refuse_weak_secret(secret: str, name: str) -> None:
    if len(secret) < MINIMUM_SECRET_LENGTH:
        raise StartRefusedError(f"{name} is shorter than {MINIMUM_SECRET_LENGTH} characters")
    if any(default in secret.lower() for default in KNOWN_DEFAULT_SECRETS) or len(set(secret)) < FEWEST_CHARACTERS:
        raise StartRefusedError(f"{name} is a known default or a pattern: `openssl rand -hex 32` makes one")


# Named from the root, so that Authorize works wherever /docs was opened.
bearer = OAuth2PasswordBearer(
    tokenUrl="/auth/token",
    refreshUrl="/auth/refresh",
    scheme_name="password",
    description="E-mail address and password; the answer's access token lasts 15 minutes.",
    scopes={
        Scope.PREDICT: "ask for forecasts",
        Scope.TRAIN: "train, and look for drift",
        Scope.ADMIN: "administer accounts and the champion",
    },
    auto_error=False,
)
# A header of its own, so that a token and a key are never taken for each other.
api_key_header = APIKeyHeader(
    name="X-API-Key",
    scheme_name="api_key",
    description="A key from POST /auth/api-keys, for programs: it may do what its scopes allow, and makes no keys.",
    auto_error=False,
)

AccessToken = Annotated[str | None, Security(bearer)]
ApiKeyText = Annotated[str | None, Security(api_key_header)]


async def admit_request(request: Request, needed: Sequence[str]) -> Principal:
    """The caller, if the token or key is good, has the scopes ``needed``, and does not ask too fast.

    Raises
    ------
    NotAuthenticatedError, TwoCredentialsError, InvalidTokenError, InvalidApiKeyError, MissingScopeError,
    TooManyRequestsError, DatabaseUnavailableError
    """
    principal = await _identify(request)
    limits: Limits = request.app.state.limits
    await limits.slow_down(request, principal.user_id)
    if not principal.scopes.issuperset(needed):
        raise MissingScopeError(list(needed))
    return principal


async def admit_forecast(request: Request) -> Principal:
    """The caller, who may predict and takes one forecast out of the day's share.

    Raises
    ------
    DailyQuotaError, and what ``admit_request`` does
    """
    principal = await admit_request(request, [Scope.PREDICT])
    limits: Limits = request.app.state.limits
    await limits.take_forecasts(request, principal.user_id, 1)
    return principal


async def _identify(request: Request) -> Principal:
    identities: Identities = request.app.state.identities
    token, key = credentials_in(request.scope["headers"])
    if token and key:
        raise TwoCredentialsError
    if token:
        return await identities.of_token(token)
    if key:
        return await identities.of_api_key(key)
    raise NotAuthenticatedError


def credentials_in(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, str | None]:
    """Access token and API key, as ``bearer`` and ``api_key_header`` read them, for a third of what those take.

    >>> credentials_in([(b"authorization", b"BEARER  abc "), (b"authorization", b"bearer d"), (b"x-api-key", b"")])
    ('abc', None)
    """
    authorization, key = None, None
    for name, value in headers:
        if name == b"authorization" and authorization is None:
            authorization = value
        elif name == b"x-api-key" and key is None:
            key = value
    scheme, _, token = (authorization or b"").partition(b" ")
    is_token = scheme.lower() == b"bearer"
    return token.decode("latin-1").strip() if is_token else None, key.decode("latin-1") if key else None


# Token and key are parameters for the OpenAPI document's sake: the functions above read them.
async def admit(request: Request, needed: SecurityScopes, _token: AccessToken, _key: ApiKeyText) -> Principal:
    """What a route depends on: ``admit_request`` with the scopes that the route names."""
    return await admit_request(request, needed.scopes)


async def admit_for_forecast(request: Request, _token: AccessToken, _key: ApiKeyText) -> Principal:
    """What a route that forecasts depends on: ``admit_forecast``."""
    return await admit_forecast(request)


CurrentUser = Annotated[Principal, Security(admit)]
PredictUser = Annotated[Principal, Security(admit, scopes=[Scope.PREDICT])]
ForecastUser = Annotated[Principal, Security(admit_for_forecast, scopes=[Scope.PREDICT])]
TrainUser = Annotated[Principal, Security(admit, scopes=[Scope.TRAIN])]
AdminUser = Annotated[Principal, Security(admit, scopes=[Scope.ADMIN])]


async def admit_person(principal: CurrentUser) -> Principal:
    """What a route depends on that no API key may use; raises SignInNeededError."""
    if principal.sign_in_id is None:
        raise SignInNeededError
    return principal


SignedInUser = Annotated[Principal, Depends(admit_person)]
