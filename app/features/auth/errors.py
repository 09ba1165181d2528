"""What can go wrong about signing in."""

from http import HTTPStatus

from app.core.problems import problem
from app.core.refusals import CHALLENGE, InvalidTokenError
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.UNAUTHORIZED, "invalid-credentials", example="no account has this e-mail address and password")
class InvalidCredentialsError(ClosecastError):
    """No account has this e-mail address and password: which of the two is wrong is not told."""

    challenge = CHALLENGE

    def __init__(self) -> None:
        super().__init__("no account has this e-mail address and password")


@problem(HTTPStatus.FORBIDDEN, "account-disabled", example="this account is disabled: ask an administrator")
class AccountDisabledError(ClosecastError):
    """The password is right, but the account is disabled: ask an administrator."""

    def __init__(self) -> None:
        super().__init__("this account is disabled: ask an administrator")


@problem(HTTPStatus.UNAUTHORIZED, "refresh-token-reused", example="this refresh token was used before: sign in again")
class RefreshTokenReusedError(InvalidTokenError):
    """This token was used before, so it may be stolen: every token of the sign-in was revoked, sign in again."""

    def __init__(self) -> None:
        super().__init__("this refresh token was used before: sign in again")


@problem(HTTPStatus.NOT_FOUND, "api-key-not-found", example="no API key of yours has this id")
class ApiKeyNotFoundError(ClosecastError):
    """No API key of yours has this id: list them at GET /auth/api-keys."""

    def __init__(self) -> None:
        super().__init__("no API key of yours has this id")


@problem(HTTPStatus.FORBIDDEN, "scope-not-yours", example="you do not have the scope admin", members=("lacking",))
class ScopeNotYoursError(ClosecastError):
    """A key may do no more than its account: ask for fewer scopes, or an administrator for more of your own."""

    def __init__(self, lacking: list[str]) -> None:
        super().__init__(f"you do not have the scope {' '.join(lacking)}")
        self.lacking = lacking


@problem(HTTPStatus.CONFLICT, "too-many-api-keys", example="20 API keys are yours: revoke one first")
class TooManyApiKeysError(ClosecastError):
    """As many keys as one account may have are alive: revoke one that is not used any more."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} API keys are yours: revoke one first")
