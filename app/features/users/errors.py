"""What can go wrong about accounts."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.CONFLICT, "email-taken", example="there is an account with this e-mail address: sign in")
class EmailTakenError(ClosecastError):
    """An account with this e-mail address exists: sign in instead."""

    def __init__(self) -> None:
        super().__init__("there is an account with this e-mail address: sign in")


@problem(HTTPStatus.UNPROCESSABLE_ENTITY, "weak-password", example="too easy to guess: it repeats few characters")
class WeakPasswordError(ClosecastError):
    """The password would be among the first that are tried: choose another, several unrelated words do well."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"too easy to guess: {reason}")


@problem(HTTPStatus.FORBIDDEN, "wrong-password", example="the current password is another one")
class WrongPasswordError(ClosecastError):
    """The current password is another one: nothing was changed."""

    def __init__(self) -> None:
        super().__init__("the current password is another one")


@problem(HTTPStatus.NOT_FOUND, "user-not-found", example="no account has this id")
class UserNotFoundError(ClosecastError):
    """No account has this id: list them at /users."""

    def __init__(self) -> None:
        super().__init__("no account has this id")


@problem(HTTPStatus.NOT_FOUND, "no-such-account", example="no account has the e-mail address jane@example.org")
class NoSuchAccountError(ClosecastError):
    """No account has this e-mail address; told to operators at the command line, never over HTTP."""

    def __init__(self, email: str) -> None:
        super().__init__(f"no account has the e-mail address {email}")


@problem(HTTPStatus.CONFLICT, "own-account", example="an administrator's own account is changed by another one")
class OwnAccountError(ClosecastError):
    """Administrators do not change their own scopes, nor disable themselves: so one always remains."""

    def __init__(self) -> None:
        super().__init__("an administrator's own account is changed by another one")


@problem(HTTPStatus.CONFLICT, "last-administrator", example="yours is the last administrator's account: name another")
class LastAdministratorError(ClosecastError):
    """The last administrator does not delete himself: make somebody else one first, at PATCH /users/{id}."""

    def __init__(self) -> None:
        super().__init__("yours is the last administrator's account: name another administrator first")
