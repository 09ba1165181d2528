"""`closecast demo`: from nothing to a first, frozen forecast, then the API until Ctrl-C."""

import time
from enum import StrEnum
from typing import Annotated

import typer


class DemoSource(StrEnum):
    """Where the demo's bars come from."""

    AUTO = "auto"
    SAMPLE = "sample"


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the first answer.")] = False,
    source: Annotated[DemoSource, typer.Option(help="auto tries Yahoo for 5 s; sample does not.")] = DemoSource.AUTO,
    train: Annotated[
        bool, typer.Option(help="Without training, who is champion stays it: the reference, at first.")
    ] = True,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
) -> None:
    """Store the sample bars, train a small LSTM, serve it, and ask for a first forecast.

    Everything lies in CLOSECAST_HOME; a second run reuses it. Without training, TensorFlow is not needed.

    Example: [bold]closecast demo --once --source sample[/bold]
    """
    started_at = time.monotonic()  # importing is part of the wait
    from app.core.monitoring.logging import configure_logging
    from app.supervisor.supervisor import supervised
    from cli.demonstration.installation import install
    from cli.demonstration.run import Demonstration
    from cli.settings import read_settings

    configure_logging("ERROR")  # the demo speaks for itself; its processes write to a file
    installation = install(read_settings(), host=host)
    with supervised(installation.settings, log=installation.log) as supervisor:
        demonstration = Demonstration(
            installation, supervisor, try_yahoo=source is DemoSource.AUTO, train=train, started_at=started_at
        )
        demonstration.run(once=once)
        if not once:
            supervisor.start_worker()  # only now: it would have taken its share of the cores from the first answer
            supervisor.watch()
