"""`closecast migrate`: the schema, once per release."""

from typing import Annotated

import typer


def migrate(
    wait: Annotated[
        float,
        typer.Option(help="Seconds to wait for a database that is still starting, or for the schema to be checked."),
    ] = 0.0,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing, tell whether this release can work on it: exit code 0 or 6."),
    ] = False,
    back_to: Annotated[
        str | None,
        typer.Option(help="Take an older revision instead: what newer ones added is dropped, rows included."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Bring the database up to date and register the reference forecaster where no champion is.

    A database of a newer release is left as it is (docs/runbooks/migrations.md).

    Example: [bold]CLOSECAST_DATABASE_URL=postgresql://… closecast migrate --wait 60[/bold]
    """
    from app.core.database import connection_string
    from app.core.migrations import stored_revision, take_back
    from app.supervisor.preparation import prepare_database, require_schema, wait_for_database
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database

    if check and back_to is not None:
        raise typer.BadParameter("--check changes nothing, --back-to does: say one of them")
    settings = require_database(read_settings())
    if check:
        require_schema(settings, wait)
    else:
        wait_for_database(settings, wait)
        if back_to is None:
            prepare_database(settings)
        else:
            take_back(connection_string(settings), back_to)
    revision = stored_revision(connection_string(settings))
    if as_json:
        print_json({"revision": revision})
    else:
        out.print(f"The database is at revision {revision}.")
