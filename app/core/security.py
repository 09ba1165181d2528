"""Who is asking: signed tokens, and the dependencies that admit a request. The only module that knows JOSE."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Request, Security
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from jose import jwt
from jose.exceptions import ExpiredSignatureError, JOSEError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import KNOWN_DEFAULT_SECRETS, MINIMUM_SECRET_LENGTH, Settings
from app.core.database import DbSession
from app.core.problems import problem
from app.models.token import SignIn
from app.models.user import Scope, User
from data_pipeline.errors import ClosecastError

ALGORITHM = "HS256"  # the only one, on both sides: a token does not choose how it is checked
LONGEST_TOKEN = 1_024  # ours have about 500 characters; nothing longer is parsed
FEWEST_CHARACTERS = 8  # distinct ones: 32 random hexadecimal digits practically never have fewer
REQUIRED_CLAIMS = ("aud", "iat", "exp", "nbf", "iss", "sub", "jti")


class StartRefusedError(ClosecastError):
    """The process must not start like this: the message says which setting to change."""


@problem(HTTPStatus.UNAUTHORIZED, "not-authenticated", example="send `Authorization: Bearer …`, see POST /auth/token")
class NotAuthenticatedError(ClosecastError):
    """No access token came with the request: get one from POST /auth/token."""

    challenge = 'Bearer realm="closecast"'

    def __init__(self) -> None:
        super().__init__("send `Authorization: Bearer …`, see POST /auth/token")


@problem(HTTPStatus.UNAUTHORIZED, "invalid-token", example="this token is not valid here: sign in again")
class InvalidTokenError(ClosecastError):
    """The token is not one of ours, is of the wrong type, or was revoked: sign in again."""

    challenge = 'Bearer realm="closecast", error="invalid_token"'

    def __init__(self, detail: str = "this token is not valid here: sign in again") -> None:
        super().__init__(detail)


@problem(HTTPStatus.UNAUTHORIZED, "expired-token", example="this token has expired: refresh it")
class ExpiredTokenError(InvalidTokenError):
    """The token was valid once: exchange the refresh token at POST /auth/refresh."""

    def __init__(self) -> None:
        super().__init__("this token has expired: refresh it")


@problem(HTTPStatus.FORBIDDEN, "missing-scope", example="this needs the scope admin", members=("needed",))
class MissingScopeError(ClosecastError):
    """The account lacks a scope that this route needs: ask an administrator for it."""

    def __init__(self, needed: list[str]) -> None:
        super().__init__(f"this needs the scope {' '.join(needed)}")
        self.needed = needed
        self.challenge = f'Bearer realm="closecast", error="insufficient_scope", scope="{" ".join(needed)}"'


@dataclass(frozen=True)
class TokenClaims:
    """What a verified token says: ``sid`` is the sign-in it belongs to, ``jti`` the token itself."""

    sub: UUID
    sid: UUID
    jti: UUID
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Principal:
    """The account on whose behalf a request is served."""

    user_id: UUID
    email: str
    scopes: frozenset[str]
    sign_in_id: UUID


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
        return hmac.digest(self._keys[self._signing_key].encode(), text.encode(), "sha256")


def tokens_from(settings: Settings) -> Tokens:
    """The signer of this process.

    Raises
    ------
    StartRefusedError : the secret is missing, short, or one that everybody knows.
    """
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret is not None else ""
    if not secret.strip():
        raise StartRefusedError("CLOSECAST_JWT_SECRET is not set: `openssl rand -hex 32` makes one")
    if len(secret) < MINIMUM_SECRET_LENGTH:
        raise StartRefusedError(f"CLOSECAST_JWT_SECRET is shorter than {MINIMUM_SECRET_LENGTH} characters")
    if any(default in secret.lower() for default in KNOWN_DEFAULT_SECRETS) or len(set(secret)) < FEWEST_CHARACTERS:
        raise StartRefusedError(
            "CLOSECAST_JWT_SECRET is a known default or a pattern: `openssl rand -hex 32` makes one"
        )
    return Tokens([secret], issuer=settings.jwt_issuer, audience=settings.jwt_audience)


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


async def find_principal(db: AsyncSession, claims: TokenClaims) -> Principal:
    """The account behind a verified token, as it stands now.

    Raises
    ------
    InvalidTokenError : the account is gone or disabled, or the sign-in was revoked.
    """
    query = (
        select(User.id, User.email, User.scopes)
        .join(SignIn, SignIn.user_id == User.id)
        .where(SignIn.id == claims.sid, SignIn.revoked_at.is_(None), User.id == claims.sub, User.disabled_at.is_(None))
    )
    row = (await db.execute(query)).one_or_none()
    if row is None:
        raise InvalidTokenError
    return Principal(user_id=row.id, email=row.email, scopes=frozenset(row.scopes), sign_in_id=claims.sid)


async def admit(
    request: Request, needed: SecurityScopes, db: DbSession, token: Annotated[str | None, Security(bearer)]
) -> Principal:
    """The caller, if the token is good and the account has the scopes that the route names.

    Raises
    ------
    NotAuthenticatedError, InvalidTokenError, MissingScopeError
    """
    if not token:
        raise NotAuthenticatedError
    tokens: Tokens = request.app.state.tokens
    principal = await find_principal(db, tokens.verify(token, "access"))
    if not principal.scopes.issuperset(needed.scopes):
        raise MissingScopeError(needed.scopes)
    return principal


CurrentUser = Annotated[Principal, Security(admit)]
PredictUser = Annotated[Principal, Security(admit, scopes=[Scope.PREDICT])]
AdminUser = Annotated[Principal, Security(admit, scopes=[Scope.ADMIN])]
