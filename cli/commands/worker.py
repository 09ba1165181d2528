"""`closecast worker`: one job worker, for containers whose platform supervises."""

from typing import Annotated

import typer


def worker(
    queues: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: data (collecting, publishing, judging), train (training, tuning); none: both, or "
            "data alone where TensorFlow is not installed."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether a worker is alive: exit code 0 or 6.")
    ] = False,
) -> None:
    """Run one worker until SIGTERM: it collects bars, publishes serving windows, and trains.

    A training that is under way when it ends goes on in another worker.

    Example: [bold]closecast worker --queues data[/bold]
    """
    from app.supervisor.start_checks import refuse_what_cannot_work
    from app.supervisor.worker_process import require_heartbeat, serve_jobs
    from cli.console import out
    from cli.settings import read_settings, require_database, warn_of_unknown_settings

    named = None if queues is None else _named(queues)
    settings = require_database(read_settings())
    if check:
        out.print(f"{require_heartbeat(settings)} alive")
    else:
        warn_of_unknown_settings(settings)
        refuse_what_cannot_work(settings, asks_sources=True)
        serve_jobs(settings, named)


def _named(queues: str) -> list[str]:
    """The queues named by an option.

    Raises
    ------
    ConfigurationError : there is no such queue, or this installation has not what it needs.
    """
    from app.worker import QUEUES, possible_queues
    from data_pipeline.errors import ConfigurationError

    named = [queue.strip() for queue in queues.split(",")]
    if unknown := [queue for queue in named if queue not in QUEUES]:
        raise ConfigurationError(f"there is no queue {unknown[0]!r}: {', '.join(QUEUES)} are")
    if impossible := [queue for queue in named if queue not in possible_queues()]:
        raise ConfigurationError(f"the queue {impossible[0]} needs TensorFlow: install the requirements for training")
    return list(dict.fromkeys(named))
