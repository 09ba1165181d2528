"""`closecast api`: one API process, for containers whose platform supervises."""

from typing import Annotated

import typer


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on (setting: CLOSECAST_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (setting: CLOSECAST_PORT).")] = None,
) -> None:
    """Run one API process until SIGTERM; the database must be migrated.

    Example: [bold]closecast api --host 0.0.0.0[/bold]
    """
    from app.supervisor.api_process import serve_api
    from app.supervisor.start_checks import refuse_what_cannot_work
    from cli.settings import read_settings, require_database, warn_of_unknown_settings

    settings = read_settings(host=host, port=port)
    warn_of_unknown_settings(settings)
    refuse_what_cannot_work(settings, asks_sources=False)
    serve_api(require_database(settings))
