"""`closecast users`: the first administrator comes to be here, not over HTTP."""

import sys
from typing import Annotated

import typer

from data_pipeline.errors import ConfigurationError

app = typer.Typer(name="users", help="Accounts.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `users create` two words while there is one command."""


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="E-mail address: the user name.")],
    admin: Annotated[
        bool, typer.Option("--admin", help="May administer accounts and the champion, and train.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
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
        print_json({"id": str(user.id), "email": user.email, "scopes": list(user.scopes)})
    else:
        out.print(f"{user.email} created, may: {', '.join(user.scopes)}")


def _password() -> str:
    if not sys.stdin.isatty():
        if line := sys.stdin.readline().rstrip("\n"):
            return line
        raise ConfigurationError("no password: give it as one line on standard input, or run this in a terminal")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
