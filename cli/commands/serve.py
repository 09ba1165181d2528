"""`closecast serve`: everything in one command, on the embedded database or on a configured one."""

from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (setting: CLOSECAST_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (setting: CLOSECAST_PORT).")] = None,
    workers: Annotated[int | None, typer.Option(help="API processes (setting: CLOSECAST_WORKERS).")] = None,
) -> None:
    """Run the API and its worker until Ctrl-C, and start again whatever dies.

    Without CLOSECAST_DATABASE_URL, PostgreSQL is started in CLOSECAST_HOME.

    Example: [bold]CLOSECAST_JWT_SECRET=$(openssl rand -hex 32) closecast serve --workers 2[/bold]
    """
    from app.core.monitoring.logging import configure_logging
    from app.core.security import tokens_from
    from app.supervisor.start_checks import refuse_what_cannot_work
    from app.supervisor.supervisor import supervised
    from cli.settings import read_settings, warn_of_unknown_settings

    settings = read_settings(host=host, port=port, workers=workers)
    configure_logging(settings.log_level)
    warn_of_unknown_settings(settings)
    tokens_from(settings)  # refuses a missing or weak secret before anything is started
    refuse_what_cannot_work(settings, asks_sources=True)
    with supervised(settings) as supervisor:
        supervisor.check_port()
        supervisor.start_database()
        supervisor.start_processes()
        supervisor.watch()
