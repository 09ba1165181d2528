"""`closecast users`: the first administrator comes to be here, not over HTTP."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from app.models.user import User

app = typer.Typer(name="users", help="Accounts.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="E-mail address: the user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


@app.command()
def create(
    email: Email,
    admin: Annotated[
        bool, typer.Option("--admin", help="May administer accounts and the champion, and train.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create an account; the password is asked for, or read as one line from standard input.

    Example: [bold]closecast users create --admin ada@example.org[/bold]
    """
    from cli.accounts import create_account
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    user = create_account(settings, email=email, password=_password(), admin=admin)
    if as_json:
        print_json(_document(user))
    else:
        out.print(f"{user.email} created, may: {', '.join(user.scopes)}")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List all accounts, oldest first.

    Example: [bold]closecast users list[/bold]
    """
    from cli.accounts import all_accounts
    from cli.console import print_json
    from cli.settings import read_settings, require_database
    from cli.tables import print_table

    users = all_accounts(require_database(read_settings()))
    if as_json:
        print_json([_document(user) for user in users])
        return
    print_table(
        ("e-mail", "may", "since", "disabled since"),
        [
            (
                user.email,
                ", ".join(user.scopes),
                f"{user.created_at:%Y-%m-%d}",
                "" if user.disabled_at is None else f"{user.disabled_at:%Y-%m-%d %H:%M} UTC",
            )
            for user in users
        ],
    )


@app.command()
def scopes(
    email: Email,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="predict, train or admin; may be repeated; none: nothing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set all that an account may do from now on.

    Example: [bold]closecast users scopes jane@example.org --scope predict --scope train[/bold]
    """
    _change(email, {"scopes": scope or []}, as_json=as_json)


@app.command()
def disable(email: Email, as_json: AsJson = False) -> None:
    """Stop an account, its sign-ins and its API keys, in every running process within a second.

    Example: [bold]closecast users disable jane@example.org[/bold]
    """
    _change(email, {"disabled": True}, as_json=as_json)


@app.command()
def enable(email: Email, as_json: AsJson = False) -> None:
    """Let a disabled account sign in again; what it had signed in or made before stays dead.

    Example: [bold]closecast users enable jane@example.org[/bold]
    """
    _change(email, {"disabled": False}, as_json=as_json)


@app.command()
def password(email: Email, as_json: AsJson = False) -> None:
    """Give an account another password, asked for or read as one line; all of its sign-ins end.

    Example: [bold]closecast users password jane@example.org[/bold]
    """
    from cli.accounts import replace_password
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    replace_password(settings, email, _password())
    _tell({"email": email, "sign_ins_ended": True}, f"{email} signs in with the new password now", as_json=as_json)


@app.command()
def delete(
    email: Email,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete an account for good; what was answered to it stays, without its name.

    Example: [bold]closecast users delete --yes jane@example.org[/bold]
    """
    from cli.accounts import delete_account
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    if not yes:
        typer.confirm(f"Delete {email} for good?", abort=True, err=True)
    delete_account(settings, email)
    _tell({"email": email, "deleted": True}, f"{email} deleted", as_json=as_json)


def _change(email: str, change: dict[str, Any], *, as_json: bool) -> None:
    from app.features.users.schemas import UserPatch
    from cli.accounts import change_account
    from cli.settings import read_settings, require_database

    patch = UserPatch.model_validate(change)
    user = change_account(require_database(read_settings()), email, patch)
    state = "may: " + (", ".join(user.scopes) or "nothing") if user.disabled_at is None else "disabled"
    _tell(_document(user), f"{user.email} {state}", as_json=as_json)


def _tell(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    from cli.console import out, print_json

    if as_json:
        print_json(document)
    else:
        out.print(text)


def _document(user: User) -> dict[str, Any]:
    from app.schemas.user import UserRead

    return UserRead.model_validate(user).model_dump(mode="json")


def _password() -> str:
    if not sys.stdin.isatty():
        try:
            # As bytes: what becomes of them in text depends on the locale.
            line = sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            raise ConfigurationError("the password on standard input is no UTF-8 text") from error
        if line:
            return line
        raise ConfigurationError("no password: give it as one line on standard input, or run this in a terminal")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
