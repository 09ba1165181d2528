"""`closecast evaluate`: a bundle's scores, each beside the naive's."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from data_pipeline.processing.bar_arrays import BarArrays
    from ml_lifecycle.evaluation.evaluate import CutoffRange, EvaluationTable
    from ml_lifecycle.export.bundle import Bundle

REFERENCE_DAYS = 250  # the reference was trained on nothing, so any day is a test day: the newest year


def evaluate(
    bundle: Annotated[str, typer.Argument(help="Bundle by id, by the beginning of its id, or by folder.")],
    tickers: Annotated[str | None, typer.Option(help="Comma-separated; none: all that are stored.")] = None,
    after: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Cutoffs after this day; none: the end of the bundle's calibration."),
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Cutoffs until this day.")] = None,
    in_sample: Annotated[
        bool, typer.Option("--in-sample", help="Allow cutoffs that the bundle has seen; no labels then.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Every so many trading days.")] = 1,
    data_version: Annotated[int | None, typer.Option(help="Version of the bars; none: the newest.")] = None,
    by_ticker: Annotated[bool, typer.Option("--by-ticker", help="A table for each ticker, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Forecast at past cutoffs that the bundle has not seen, and score beside the naive forecast.

    Example: [bold]closecast evaluate 3f9a1c2b4d5e --every 5[/bold]
    """
    from cli.bundles import find_bundle
    from cli.console import print_json
    from cli.score_table import show
    from cli.settings import read_settings
    from data_pipeline.storage.feature_store import FeatureStore
    from data_pipeline.ticker import parse_ticker
    from ml_lifecycle.evaluation.evaluate import CutoffRange
    from ml_lifecycle.export.bundle import load_bundle

    settings = read_settings()
    loaded = load_bundle(find_bundle(settings, bundle))
    first, last = (day.date() if day is not None else None for day in (after, until))
    end = loaded.manifest.calibration_end
    between = CutoffRange.of(end, after=first, until=last, allow_in_sample=in_sample)
    names = [parse_ticker(name) for name in names_in(tickers)]
    store = FeatureStore(settings.bars_uri, settings.store_options)
    bars = store.read_many_bar_arrays(names or None, store.version(data_version).version)
    table = _evaluate(loaded, bars, _days(bars, between, every))
    table = table.as_in_sample() if between.in_sample else table
    if as_json:
        print_json({"bundle": loaded.bundle_id, **table.to_dict()})
    else:
        show(table, by_ticker=by_ticker)


def _days(bars: Mapping[str, BarArrays], between: CutoffRange, every: int) -> list[date]:
    from ml_lifecycle.evaluation.evaluate import cutoff_days

    days = cutoff_days(bars, after=between.after, until=between.until, every=every)
    return days if between.after is not None else days[-max(1, REFERENCE_DAYS // every) :]


def _evaluate(bundle: Bundle, bars: Mapping[str, BarArrays], days: list[date]) -> EvaluationTable:
    from cli.progress import counted
    from ml_lifecycle.evaluation.evaluate import evaluate as evaluate_forecaster
    from ml_lifecycle.export.forecaster import BundleForecaster

    with counted("Evaluating") as progress:
        return evaluate_forecaster(
            BundleForecaster(bundle), bars, days, progress=lambda done, total: progress(done, total, "")
        )
