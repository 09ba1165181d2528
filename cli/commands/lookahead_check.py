"""`closecast lookahead-check`: does anything on the way from bars to forecasts see what it must not?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_pipeline.processing.bar_arrays import BarArrays
    from ml_lifecycle.evaluation.look_ahead_check import Fault
    from ml_lifecycle.training.config import TrainingConfig


def lookahead_check(
    bundle: Annotated[
        str | None,
        typer.Argument(help="A bundle to look at; none: the whole path, with a small network trained on it."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Input columns of your own: a file or an importable module.", metavar="MODULE"),
    ] = None,
    config: Annotated[
        str, typer.Option(help="YAML file, or a packaged configuration: default, demo.", metavar="FILE")
    ] = "default",
    tickers: Annotated[
        str | None, typer.Option(help="Comma-separated: of --bars, or of what is stored; none: all of --bars.")
    ] = None,
    bars: Annotated[
        Path | None, typer.Option(help="File or folder of bars; without it and --tickers the packaged sample.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look at columns and windows only: seconds instead of minutes.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the cutoffs and of the futures tried.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Change, erase, shift and cut what comes after random cutoffs: nothing before them may move by a single bit.

    Prints one line for each fault, and leaves with 5 where there is one.

    Example: [bold]closecast lookahead-check --columns my_columns.py[/bold]
    """
    import os

    from cli.console import err, out, print_json
    from cli.exit_codes import ExitCode
    from cli.settings import read_settings
    from data_pipeline.processing.own_columns import OwnColumns
    from ml_lifecycle.training.config import load_config

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks on the processor would break the lines
    read_settings()
    chosen = load_config(config, own=OwnColumns.of(columns) if columns else None)
    known = _read_bars(bars, names_in(tickers))
    faults: list[Fault] = []
    for fault in _faults(bundle, chosen, known, quick=quick, seed=seed):
        faults.append(fault)
        if not as_json:
            out.print(str(fault), soft_wrap=True, markup=False)
    if as_json:
        print_json({"passed": not faults, "tickers": sorted(known), "faults": [_document(fault) for fault in faults]})
    elif not faults:
        err.print(f"No look-ahead found on {len(known)} tickers.")
    if faults:
        raise typer.Exit(ExitCode.MODEL)


def _faults(
    bundle: str | None, config: TrainingConfig, bars: dict[str, BarArrays], *, quick: bool, seed: int
) -> Iterator[Fault]:
    from cli.bundles import find_bundle
    from cli.console import err
    from cli.settings import read_settings
    from ml_lifecycle.evaluation.look_ahead_check import check_bundle_faults
    from ml_lifecycle.evaluation.look_ahead_methods import methods_that_learn_little
    from ml_lifecycle.evaluation.look_ahead_path import check_path
    from ml_lifecycle.evaluation.look_ahead_training import own_market
    from ml_lifecycle.export.bundle import load_bundle

    if bundle is not None:
        loaded = load_bundle(find_bundle(read_settings(), bundle))
        return check_bundle_faults(loaded, own_market(bars), seed=seed)

    def tell(stage: str) -> None:
        err.print(f"Looking at {stage} …", markup=False)

    methods = {} if quick else methods_that_learn_little(config.levels)
    return check_path(config, bars, methods=methods, learning=not quick, tell=tell, seed=seed)


def _read_bars(path: Path | None, tickers: list[str]) -> dict[str, BarArrays]:
    from cli.settings import read_settings
    from data_pipeline.sources.file_source import FileSource
    from data_pipeline.sources.sample_source import SampleSource
    from data_pipeline.storage.feature_store import FeatureStore
    from data_pipeline.ticker import parse_ticker
    from ml_lifecycle.evaluation.look_ahead_path import read_bars

    names = [parse_ticker(ticker) for ticker in tickers]
    if path is not None:
        return read_bars(FileSource(path), names)
    if not names:
        return read_bars(SampleSource(), [])
    settings = read_settings()
    return FeatureStore(settings.bars_uri, settings.store_options).read_many_bar_arrays(names)


def _document(fault: Fault) -> dict[str, str | None]:
    return {
        "stage": fault.stage,
        "column": fault.column or None,
        "ticker": fault.ticker,
        "cutoff": str(fault.cutoff) if fault.cutoff else None,
        "what": fault.what,
    }
