"""`closecast worker`: one job worker, for containers whose platform supervises."""

from typing import Annotated

import typer


def worker(
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether a worker is alive: exit code 0 or 6.")
    ] = False,
) -> None:
    """Run one worker until SIGTERM: it collects bars and publishes serving windows.

    Example: [bold]closecast worker --check[/bold]
    """
    from app.supervisor.worker_process import require_heartbeat, serve_jobs
    from cli.console import out
    from cli.settings import read_settings, require_database, warn_of_unknown_settings

    settings = require_database(read_settings())
    if check:
        out.print(f"{require_heartbeat(settings)} alive")
    else:
        warn_of_unknown_settings(settings)
        serve_jobs(settings)
