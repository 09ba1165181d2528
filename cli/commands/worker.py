"""`closecast worker`: one job worker, for containers whose platform supervises."""

from typing import Annotated

import typer


def worker(
    queues: Annotated[
        str, typer.Option(help="Comma-separated: data (collecting, publishing, judging), train (training, tuning).")
    ] = "data,train",
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether a worker is alive: exit code 0 or 6.")
    ] = False,
) -> None:
    """Run one worker until SIGTERM: it collects bars, publishes serving windows, and trains.

    What trains needs the requirements of the training image; a training that is under way goes on in another worker.

    Example: [bold]closecast worker --queues data[/bold]
    """
    from app.supervisor.start_checks import refuse_what_cannot_work
    from app.supervisor.worker_process import require_heartbeat, serve_jobs
    from cli.console import out
    from cli.settings import read_settings, require_database, warn_of_unknown_settings

    settings = require_database(read_settings())
    if check:
        out.print(f"{require_heartbeat(settings)} alive")
    else:
        warn_of_unknown_settings(settings)
        refuse_what_cannot_work(settings, asks_sources=True)
        serve_jobs(settings, _named(queues))


def _named(queues: str) -> list[str]:
    """The queues named by an option.

    Raises
    ------
    ConfigurationError : there is no such queue.
    """
    from app.worker import QUEUES
    from data_pipeline.errors import ConfigurationError

    named = [queue.strip() for queue in queues.split(",")]
    if unknown := [queue for queue in named if queue not in QUEUES]:
        raise ConfigurationError(f"there is no queue {unknown[0]!r}: {', '.join(QUEUES)} are")
    return list(dict.fromkeys(named))
