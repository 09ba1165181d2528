"""`closecast train`: stored bars in, a checked bundle out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from app.config import Settings

DAY = ["%Y-%m-%d"]
RESULT = ("bundle", "folder", "checkpoint", "weights_sha256", "training_seconds", "windows_per_second", "scores")


def train(
    config: Annotated[
        str | None,
        typer.Option(help="YAML file, or a packaged configuration: default, demo, closes, fine_tune.", metavar="FILE"),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Input columns of your own: a file or an importable module.", metavar="MODULE"),
    ] = None,
    fine_tune: Annotated[
        str | None,
        typer.Option(help="Go on from this bundle's weights, on --tickers alone.", metavar="BUNDLE"),
    ] = None,
    tickers: Annotated[str | None, typer.Option(help="Comma-separated; none: all that are stored.")] = None,
    data_version: Annotated[int | None, typer.Option(help="Version of the bars; none: the newest.")] = None,
    start: Annotated[datetime | None, typer.Option(formats=DAY, help="First day of the bars.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=DAY, help="Last day of the bars.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of the run; none: checkpoints/NAME in CLOSECAST_HOME.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an interrupted run could go on.")] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only try the whole way on sample bars; nothing is kept or registered.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Train a network on stored bars, export and check its bundle, and register it where a database runs.

    An interrupted run of the same configuration, data and tickers goes on where it stopped. Nothing is promoted.

    A bundle that is fine-tuned for a few tickers keeps its parent's inputs, scaler and days (docs/fine-tuning.md).

    Example: [bold]closecast train --config demo --tickers AAPL,MSFT[/bold]
    """
    from cli.settings import read_settings, with_running_database

    spec = {
        "config": config,
        "columns": columns,
        "fine_tune": fine_tune,
        "tickers": names_in(tickers),
        "data_version": data_version,
        "start_date": start.date() if start else None,
        "end_date": end.date() if end else None,
        "checkpoint": checkpoint,
        "resume": not fresh,
    }
    if smoke:
        _try(read_settings(), as_json=as_json)
    else:
        _show(_train(with_running_database(read_settings()), spec), columns, as_json=as_json)


def _train(settings: Settings, spec: dict[str, Any]) -> dict[str, Any]:
    from app.features.training.run_train import run
    from cli.progress import telling

    with telling("Training") as emit:
        return run(settings, spec, emit)


def _try(settings: Settings, *, as_json: bool) -> None:
    from cli.console import out, print_json
    from cli.progress import telling
    from cli.smoke import try_whole_way

    with telling("Training") as emit:
        tried = try_whole_way(settings, emit)
    if as_json:
        print_json(tried)
    else:
        out.print(f"sample bars, training, export, forecast: all well in {tried['seconds']:.0f} s; nothing was kept")


def _show(trained: dict[str, Any], columns: str | None, *, as_json: bool) -> None:
    from cli.console import out, print_json

    if as_json:
        print_json({name: trained[name] for name in RESULT})
        return
    bundle = trained["bundle"]
    out.print(f"bundle {bundle}", soft_wrap=True)
    out.print(f"Compare it: closecast evaluate {bundle[:12]}")
    out.print(f"Serve it:   closecast promote {bundle[:12]}")
    if columns:
        out.print(f"It is loaded only where CLOSECAST_COLUMNS names {columns}, unchanged.", soft_wrap=True)
