"""Why somebody is not admitted: the errors of tokens, API keys and scopes."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError

CHALLENGE = 'Bearer realm="closecast"'


@problem(
    HTTPStatus.UNAUTHORIZED,
    "not-authenticated",
    example="send `Authorization: Bearer …` from POST /auth/token, or `X-API-Key: closecast_…`",
)
class NotAuthenticatedError(ClosecastError):
    """Neither an access token nor an API key came with the request: get a token from POST /auth/token."""

    challenge = CHALLENGE

    def __init__(self) -> None:
        super().__init__("send `Authorization: Bearer …` from POST /auth/token, or `X-API-Key: closecast_…`")


@problem(HTTPStatus.UNAUTHORIZED, "two-credentials", example="send an access token or an API key, not both")
class TwoCredentialsError(ClosecastError):
    """An access token and an API key came together, and which of them asks must be beyond doubt: send one."""

    challenge = CHALLENGE

    def __init__(self) -> None:
        super().__init__("send an access token or an API key, not both")


@problem(HTTPStatus.UNAUTHORIZED, "invalid-token", example="this token is not valid here: sign in again")
class InvalidTokenError(ClosecastError):
    """The token is not one of ours, is of the wrong type, or was revoked: sign in again."""

    challenge = f'{CHALLENGE}, error="invalid_token"'

    def __init__(self, detail: str = "this token is not valid here: sign in again") -> None:
        super().__init__(detail)


@problem(HTTPStatus.UNAUTHORIZED, "expired-token", example="this token has expired: refresh it")
class ExpiredTokenError(InvalidTokenError):
    """The token was valid once: exchange the refresh token at POST /auth/refresh."""

    def __init__(self) -> None:
        super().__init__("this token has expired: refresh it")


@problem(HTTPStatus.UNAUTHORIZED, "invalid-api-key", example="this API key is not valid here: make another one")
class InvalidApiKeyError(ClosecastError):
    """The API key is none of ours, has expired, was revoked, or its account is disabled: make another one."""

    challenge = CHALLENGE

    def __init__(self) -> None:
        super().__init__("this API key is not valid here: make another one")


@problem(HTTPStatus.FORBIDDEN, "missing-scope", example="this needs the scope admin", members=("needed",))
class MissingScopeError(ClosecastError):
    """The account, or its API key, lacks a scope that this route needs: ask an administrator for it."""

    def __init__(self, needed: list[str]) -> None:
        super().__init__(f"this needs the scope {' '.join(needed)}")
        self.needed = needed
        self.challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{" ".join(needed)}"'


@problem(HTTPStatus.FORBIDDEN, "sign-in-needed", example="no API key may do this: sign in with the password")
class SignInNeededError(ClosecastError):
    """Keys, passwords and accounts are changed by a person who signed in, so that a leaked key does no more harm."""

    def __init__(self) -> None:
        super().__init__("no API key may do this: sign in with the password")
