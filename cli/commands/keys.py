"""`closecast keys`: API keys of accounts, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

app = typer.Typer(name="keys", help="API keys.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="E-mail address of the account.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


@app.command()
def create(
    email: Email,
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="predict, train or admin; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it lasts.", min=1)] = 90,
    forever: Annotated[bool, typer.Option("--forever", help="It lasts until it is revoked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it; it is told this once.

    Example: [bold]closecast keys create jane@example.org --name report --scope predict[/bold]
    """
    from app.features.auth.schemas import ApiKeyWish
    from cli.api_keys import create_key
    from cli.console import err, out, print_json
    from cli.settings import read_settings, require_database

    wish = ApiKeyWish.model_validate(
        {"name": name, "scopes": scope or ["predict"], "expires_in_days": None if forever else days}
    )
    made = create_key(require_database(read_settings()), email, wish)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    out.print(made.key, soft_wrap=True, markup=False)
    err.print(f"may: {', '.join(made.scopes)}; {_end(made.expires_at)}; send it as X-API-Key; it is shown this once")


@app.command("list")
def list_keys(email: Email, as_json: AsJson = False) -> None:
    """List an account's API keys, oldest first, without their text.

    Example: [bold]closecast keys list jane@example.org[/bold]
    """
    from cli.api_keys import keys_of
    from cli.console import print_json
    from cli.settings import read_settings, require_database
    from cli.tables import print_table

    found = keys_of(require_database(read_settings()), email)
    if as_json:
        print_json([key.model_dump(mode="json") for key in found])
        return
    print_table(
        ("id", "key", "name", "may", "state", "last used"),
        [
            (
                str(key.id),
                f"{key.prefix}…",
                key.name,
                ", ".join(key.scopes),
                "revoked" if key.revoked_at is not None else _end(key.expires_at),
                "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M} UTC",
            )
            for key in found
        ],
    )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id, or the beginning that `keys list` shows.")], as_json: AsJson = False
) -> None:
    """Stop an API key for good, in every running process within a second.

    Example: [bold]closecast keys revoke closecast_Xq3vT0aB[/bold]
    """
    from cli.api_keys import revoke_key
    from cli.console import err, print_json
    from cli.settings import read_settings, require_database

    revoke_key(require_database(read_settings()), key.removesuffix("…"))
    if as_json:
        print_json({"key": key, "revoked": True})
    else:
        err.print("revoked")


def _end(expires_at: datetime | None) -> str:
    return "until revoked" if expires_at is None else f"until {expires_at:%Y-%m-%d}"
