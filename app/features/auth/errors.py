"""What can go wrong about signing in."""

from http import HTTPStatus

from app.core.problems import problem
from app.core.security import InvalidTokenError
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.UNAUTHORIZED, "invalid-credentials", example="no account has this e-mail address and password")
class InvalidCredentialsError(ClosecastError):
    """No account has this e-mail address and password: which of the two is wrong is not told."""

    challenge = 'Bearer realm="closecast"'

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
