"""`closecast backtest`: methods and bundles at the same past cutoffs, side by side."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from data_pipeline.processing.bar_arrays import BarArrays
    from ml_lifecycle.evaluation.backtest import InTurn

DAY = ["%Y-%m-%d"]


def backtest(
    start: Annotated[datetime, typer.Option("--from", formats=DAY, help="First day that can be a cutoff.")],
    out: Annotated[Path, typer.Option(help="Parquet file; with several methods one for each, its name added.")],
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="Bundles (id, beginning of an id, folder), or naive, drift, ewma_fhs, garch_t, autoets, lightgbm, "
            "tutorial_lstm."
        ),
    ] = None,
    own: Annotated[
        list[str] | None, typer.Option("--method", help="A method of your own, module:attribute; repeatable.")
    ] = None,
    bars: Annotated[Path | None, typer.Option(help="File or folder of bars; none: those stored.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last day that can be a cutoff.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Trading days between two cutoffs.")] = 1,
    horizons: Annotated[str, typer.Option(help="Comma-separated trading days ahead, 1 to 30.")] = "1,5,10,21",
    tickers: Annotated[str | None, typer.Option(help="Comma-separated; none: all.")] = None,
    reference: Annotated[str, typer.Option(help="The method that skill is measured against.")] = "naive",
    refit: Annotated[
        int | None, typer.Option(min=1, help="Trading days between two trainings of what learns; none: once, before.")
    ] = None,
    refit_window: Annotated[
        str, typer.Option(help="expanding: learn from all that came before; sliding: from as much as the first time.")
    ] = "expanding",
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive", help="Each method once more, its intervals following its own errors from --from on."
        ),
    ] = False,
    in_sample: Annotated[
        bool, typer.Option("--in-sample", help="Allow cutoffs that a bundle has seen: its figures then say nothing.")
    ] = False,
    backend: Annotated[
        str, typer.Option(help="local: this process; ray: RAY_ADDRESS, or a cluster started here. The same numbers.")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, max=1000, help="Processes at a time, with --backend ray.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Forecast at past cutoffs, each method seeing no later bar, write the quantiles and score them side by side.

    Example: [bold]closecast backtest naive garch_t --bars prices.csv --from 2024-01-02 --every 5 --out q.parquet[/bold]
    """
    import os

    from cli.backtest_methods import choose_methods
    from cli.backtest_table import show
    from cli.console import print_json
    from cli.progress import counted
    from data_pipeline.errors import ConfigurationError
    from ml_lifecycle.evaluation.backtest import Plan
    from ml_lifecycle.evaluation.backtest_run import run_backtest

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks on the processor would break the bar
    if refit_window not in ("expanding", "sliding"):
        raise ConfigurationError(f"--refit-window is expanding or sliding, not {refit_window}")
    if backend not in ("local", "ray"):
        raise ConfigurationError(f"--backend is local or ray, not {backend}")
    if end is not None and end < start:
        raise ConfigurationError(f"--to {end:%Y-%m-%d} is before --from {start:%Y-%m-%d}")
    plan = Plan(
        start=start.date(),
        end=end.date() if end else None,
        every=every,
        horizons=_steps(horizons),
        refit_every=refit,
        sliding=refit_window == "sliding",
    )
    chosen = choose_methods(methods or [], own or [], start=plan.start, refit=refit is not None, in_sample=in_sample)
    known = _read_bars(bars, tickers, chosen.members)
    with counted("Backtesting") as progress, _where(backend, workers) as in_turn:
        result = run_backtest(
            chosen.methods,
            known,
            plan,
            out=out,
            reference=reference,
            adaptive=adaptive,
            progress=progress,
            in_turn=in_turn,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        show(result)


def _where(backend: str, workers: int) -> AbstractContextManager[InTurn | None]:
    from contextlib import nullcontext

    if backend == "local":
        return nullcontext()
    from ml_lifecycle.evaluation.ray_backtest import on_ray

    return on_ray(workers)


def _steps(text: str) -> tuple[int, ...]:
    from data_pipeline.errors import ConfigurationError
    from ml_lifecycle.export.manifest import STEPS

    asked = [part.strip() for part in text.split(",") if part.strip()]
    if not asked or not all(part.isdecimal() and 1 <= int(part) <= STEPS for part in asked):
        raise ConfigurationError(f"--horizons: whole numbers from 1 to {STEPS}, not {text}")
    return tuple(sorted({int(part) for part in asked}))


def _read_bars(path: Path | None, tickers: str | None, members: Collection[str]) -> dict[str, BarArrays]:
    """From files, each with the market of its exchange there; or from the store, with the market as stored."""
    from cli.settings import read_settings
    from data_pipeline.storage.feature_store import FeatureStore
    from data_pipeline.ticker import parse_ticker
    from ml_lifecycle.evaluation.backtest_bars import read_file_bars

    names = [parse_ticker(name) for name in names_in(tickers)]
    if path is not None:
        return read_file_bars(path, names, members)
    settings = read_settings()
    return FeatureStore(settings.bars_uri, settings.store_options).read_many_bar_arrays(names or None)
