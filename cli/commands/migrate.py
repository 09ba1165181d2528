"""`closecast migrate`: the schema, once per release."""

from typing import Annotated

import typer


def migrate(
    wait: Annotated[float, typer.Option(help="Seconds to wait for a database that is still starting.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Bring the database up to date and register the reference forecaster where no champion is.

    Example: [bold]CLOSECAST_DATABASE_URL=postgresql://… closecast migrate --wait 60[/bold]
    """
    from app.core.migrations import newest_revision
    from app.supervisor.preparation import prepare_database, wait_for_database
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    wait_for_database(settings, wait)
    prepare_database(settings)
    if as_json:
        print_json({"revision": newest_revision()})
    else:
        out.print(f"The database is at revision {newest_revision()}.")
