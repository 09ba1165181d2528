"""Scores of a forecaster beside the naive, on the same cutoffs: no figure without its baseline.

By itself: ``python -m ml_lifecycle.evaluation.evaluate BUNDLE --store BARS`` prints the table as JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import make_targets
from data_pipeline.processing.own_columns import allow
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.forecasters import Cutoffs, Forecaster, NaiveForecaster, forecast_at
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.evaluation.rows import ForecastArrays, PointFigures
from ml_lifecycle.evaluation.skill_label import Label, Skill, skill_label
from ml_lifecycle.export.manifest import HORIZONS

ALL_TICKERS = "all"
TICKERS_AT_ONCE = 16
DATA_ERROR = 3  # exit code, as the command line has it


class NothingToEvaluateError(ClosecastError):
    """No ticker has enough bars before a cutoff and an outcome after it: widen the dates, or collect more bars."""


class InSampleError(ClosecastError):
    """The bundle was made from the days asked for: begin after its calibration, or ask for them with --in-sample."""

    def __init__(self, calibration_end: date) -> None:
        super().__init__(
            f"the bundle has seen the days to {calibration_end}: ask for later cutoffs, or give --in-sample"
        )
        self.calibration_end = calibration_end


@dataclass(frozen=True)
class ForecastRows(ForecastArrays):
    """Forecasts with their outcomes; ``anchor`` is the stored close at the cutoff.

    ``quantiles, naive`` are log returns, shape ``(n, n_levels)``: the forecaster's and the naive's.
    """

    levels: tuple[float, ...]
    quantiles: FloatArray
    naive: FloatArray

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Every field by name, for ``numpy.savez``."""
        return {one.name: np.asarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "ForecastRows":
        """Read what ``to_arrays`` gave."""
        named: dict[str, Any] = {one.name: arrays[one.name] for one in fields(cls)}
        return cls(**{**named, "levels": tuple(arrays["levels"].tolist())})


@dataclass(frozen=True)
class IntervalScore:
    """Coverage and mean width (log return) of one central interval, the naive's beside it; ``level`` is its promise."""

    level: float
    coverage: float
    width: float
    naive_coverage: float
    naive_width: float


@dataclass(frozen=True)
class Scores(PointFigures):
    """Figures of one ticker (or all) at one horizon, each with the naive's.

    Attributes
    ----------
    mae_log_return, rmse_log_return : errors without a currency.
    r2 : of log returns; None where they do not vary.
    information_coefficient : None where the median never varies; the naive's never does, so it has none.
    """

    ticker: str
    mae_log_return: float
    naive_mae_log_return: float
    rmse_log_return: float
    naive_rmse_log_return: float
    r2: float | None
    naive_r2: float | None
    information_coefficient: float | None
    naive_information_coefficient: float | None
    naive_pinball: float
    intervals: tuple[IntervalScore, ...]
    skill: Skill

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class EvaluationTable:
    """All figures of one evaluation: rows for all tickers together first, then for each, horizons ascending.

    ``in_sample``: the forecaster was made from some of these days, so no row has a label of skill.
    """

    rows: tuple[Scores, ...]
    forecasts: ForecastRows
    in_sample: bool = False

    @property
    def overall(self) -> tuple[Scores, ...]:
        """The rows for all tickers together."""
        return tuple(row for row in self.rows if row.ticker == ALL_TICKERS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; without the single forecasts."""
        rows = [row.to_dict() for row in self.rows]
        return {"in_sample": self.in_sample, "levels": list(self.forecasts.levels), "rows": rows}

    def as_in_sample(self) -> "EvaluationTable":
        """The same figures, without what they would say about days not seen."""
        return EvaluationTable(tuple(map(_unlabelled, self.rows)), self.forecasts, in_sample=True)


@dataclass(frozen=True)
class CutoffRange:
    """Cutoffs with ``after < day <= until`` (None: no bound); ``in_sample``: the bundle was made from some of them."""

    after: date | None
    until: date | None
    in_sample: bool = False

    @classmethod
    def of(
        cls, calibration_end: date | None, *, after: date | None, until: date | None, allow_in_sample: bool
    ) -> "CutoffRange":
        """What may be evaluated of a bundle; ``after`` None: what it has not seen, as its ``calibration_end`` says.

        Raises
        ------
        InSampleError : the bundle has seen some of the days, and ``allow_in_sample`` is not given.
        """
        if calibration_end is None or after is None:  # the reference has seen nothing
            return cls(after or calibration_end, until)
        if after < calibration_end and not allow_in_sample:
            raise InSampleError(calibration_end)
        return cls(after, until, in_sample=after < calibration_end)


def evaluate(
    forecaster: Forecaster,
    bars_by_ticker: Mapping[str, BarArrays],
    cutoffs: Iterable[date],
    *,
    horizons: Sequence[int] = HORIZONS,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationTable:
    """Forecast at every cutoff that a ticker traded on, and score.

    A ticker is left out at cutoffs before which it has too few bars for the forecaster or the naive, and at horizons
    whose bar is yet to come.

    Parameters
    ----------
    progress : called with (tickers done, tickers in all).

    Raises
    ------
    NothingToEvaluateError : no forecast with an outcome is left.
    """
    days = np.unique(np.array(list(cutoffs), dtype="datetime64[D]"))
    rows = forecast_rows(forecaster, bars_by_ticker, days, horizons, progress)
    return EvaluationTable(score_rows(rows, horizons), rows)


def cutoff_days(
    bars_by_ticker: Mapping[str, BarArrays], *, after: date | None = None, until: date | None = None, every: int = 1
) -> list[date]:
    """Every ``every``-th of the trading days of all tickers together with ``after < day <= until``."""
    union = np.unique(np.concatenate([bars.trading_day.astype("datetime64[D]") for bars in bars_by_ticker.values()]))
    if after is not None:
        union = union[union > np.datetime64(after, "D")]
    if until is not None:
        union = union[union <= np.datetime64(until, "D")]
    days: list[date] = union[::every].tolist()
    return days


def forecast_rows(
    forecaster: Forecaster,
    bars_by_ticker: Mapping[str, BarArrays],
    days: DayArray,
    horizons: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> ForecastRows:
    """Forecasts with known outcomes; see ``evaluate``."""
    naive = NaiveForecaster(forecaster.levels)
    history_needed = max(forecaster.history_needed, naive.history_needed)
    pieces = ((ticker, piece) for ticker, bars in bars_by_ticker.items() for piece in bars.pieces())
    every = ((ticker, _cutoffs(piece, days, history_needed)) for ticker, piece in pieces)
    asked = [(ticker, entry) for ticker, entry in every if len(entry.ends)]
    blocks: list[ForecastRows] = []
    for group in _in_groups(asked):
        tickers, entries = zip(*group, strict=True)
        quantiles = forecast_at(forecaster, entries, horizons)
        beside = naive.forecast_cutoffs(entries, horizons)
        blocks += map(_rows, tickers, entries, quantiles, beside, repeat(horizons), repeat(forecaster.levels))
        if progress:
            progress(len(blocks), len(asked))
    if not sum(map(len, blocks)):
        raise NothingToEvaluateError(f"no cutoff with {history_needed} bars up to it and an outcome after it")
    return ForecastRows.joined(blocks)


def score_rows(rows: ForecastRows, horizons: Sequence[int]) -> tuple[Scores, ...]:
    """Figures for all tickers together, then for each where there are several; horizons without a row are left out."""
    tickers = sorted(set(rows.ticker.tolist()))
    groups = [(ALL_TICKERS, np.ones(len(rows), dtype=np.bool_))]
    groups += [(ticker, rows.ticker == ticker) for ticker in tickers]
    wanted = [
        (name, horizon, chosen)
        for name, of_group in groups
        for horizon in horizons
        if (chosen := of_group & (rows.horizon == horizon)).any()
    ]
    return tuple(_scores(name, horizon, rows.where(chosen)) for name, horizon, chosen in wanted)


def _cutoffs(bars: BarArrays, days: DayArray, history_needed: int) -> Cutoffs:
    ends = np.flatnonzero(np.isin(bars.trading_day.astype("datetime64[D]"), days))
    return Cutoffs(bars, ends[(ends >= history_needed - 1) & (ends < len(bars) - 1)])


def _in_groups(asked: Iterable[tuple[str, Cutoffs]]) -> Iterator[tuple[tuple[str, Cutoffs], ...]]:
    """So many tickers at a time that a network is asked in full batches and memory stays bounded."""
    waiting = iter(asked)
    while group := tuple(islice(waiting, TICKERS_AT_ONCE)):
        yield group


def _rows(
    ticker: str,
    entry: Cutoffs,
    quantiles: FloatArray,
    naive: FloatArray,
    horizons: Sequence[int],
    levels: tuple[float, ...],
) -> ForecastRows:
    """Flatten one ticker's forecasts ``(n_ends, n_horizons, n_levels)``, without those whose outcome is yet to come."""
    actual = make_targets(entry.bars.adj_close, entry.ends, horizons)
    known = ~np.isnan(actual)
    end, place = np.nonzero(known)
    return ForecastRows(
        levels=levels,
        ticker=np.full(len(end), ticker),
        cutoff=entry.bars.trading_day.astype("datetime64[D]")[entry.ends][end],
        horizon=np.asarray(horizons, dtype=np.int64)[place],
        anchor=entry.bars.close[entry.ends][end],
        actual=actual[known],
        volatility=entry.volatility()[end],
        quantiles=quantiles[known],
        naive=naive[known],
    )


def _scores(ticker: str, horizon: int, rows: ForecastRows) -> Scores:
    median = rows.quantiles[:, rows.levels.index(0.5)]
    actual, still = rows.actual, np.zeros_like(rows.actual)
    losses = metrics.pinball_losses(actual, rows.quantiles, rows.levels)
    naive_losses = metrics.pinball_losses(actual, rows.naive, rows.levels)
    error, naive_error = metrics.mean_absolute_error(actual, median), metrics.mean_absolute_error(actual, still)
    relative_mae = error / naive_error if naive_error else None
    skill = skill_label(losses, naive_losses, rows.cutoff, horizon=horizon, relative_mae=relative_mae)
    return Scores(
        **PointFigures.of(rows, median, losses),
        ticker=ticker,
        mae_log_return=error,
        naive_mae_log_return=naive_error,
        rmse_log_return=metrics.root_mean_square_error(actual, median),
        naive_rmse_log_return=metrics.root_mean_square_error(actual, still),
        r2=metrics.r_squared(actual, median),
        naive_r2=metrics.r_squared(actual, still),
        information_coefficient=metrics.information_coefficient(actual, median),
        naive_information_coefficient=None,
        naive_pinball=float(np.mean(naive_losses)),
        intervals=tuple(_interval(rows, level) for level in INTERVALS if interval_places(rows.levels, level)),
        skill=skill,
    )


def _unlabelled(row: Scores) -> Scores:
    return replace(row, skill=replace(row.skill, label=Label.NOT_YET_MEASURED, pinball_skill=None, interval=None))


def _interval(rows: ForecastRows, level: float) -> IntervalScore:
    lower, upper = interval_places(rows.levels, level)
    ends, naive_ends = (
        (rows.quantiles[:, lower], rows.quantiles[:, upper]),
        (rows.naive[:, lower], rows.naive[:, upper]),
    )
    return IntervalScore(
        level=level,
        coverage=metrics.coverage(rows.actual, *ends),
        width=metrics.mean_width(*ends),
        naive_coverage=metrics.coverage(rows.actual, *naive_ends),
        naive_width=metrics.mean_width(*naive_ends),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate a bundle on bars of a store; the exit code is 0, or 3 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ml_lifecycle.evaluation.evaluate", description="Score a bundle.")
    parser.add_argument("bundle", help="bundle folder")
    parser.add_argument("--store", required=True, help="folder or s3:// address of the bars")
    parser.add_argument("--columns", metavar="MODULE", help="the input columns of one's own that it was trained with")
    parser.add_argument("--tickers", nargs="+", help="tickers to score on; all that are stored if left out")
    parser.add_argument("--from", dest="after", type=date.fromisoformat, help="first cutoff; the day after calibration")
    parser.add_argument("--to", dest="until", type=date.fromisoformat, help="last cutoff")
    parser.add_argument("--in-sample", action="store_true", help="allow cutoffs that the bundle has seen; no labels")
    parser.add_argument("--every", type=int, default=1, help="trading days between cutoffs")
    told = parser.parse_args(arguments)
    allow(told.columns)
    try:
        table = _evaluate_stored(told)
    except ClosecastError as error:
        sys.stderr.write(f"{error}\n")
        return DATA_ERROR
    sys.stdout.write(json.dumps(table.to_dict(), indent=1) + "\n")
    return 0


def _evaluate_stored(told: argparse.Namespace) -> EvaluationTable:
    from data_pipeline.storage.feature_store import FeatureStore
    from ml_lifecycle.export.bundle import load_bundle
    from ml_lifecycle.export.forecaster import BundleForecaster

    bundle = load_bundle(Path(told.bundle))
    bars = FeatureStore(told.store).read_many_bar_arrays(told.tickers)
    after = told.after - timedelta(days=1) if told.after else None
    between = CutoffRange.of(
        bundle.manifest.calibration_end, after=after, until=told.until, allow_in_sample=told.in_sample
    )
    days = cutoff_days(bars, after=between.after, until=between.until, every=told.every)
    table = evaluate(BundleForecaster(bundle), bars, days, horizons=bundle.manifest.horizons)
    return table.as_in_sample() if between.in_sample else table


if __name__ == "__main__":
    sys.exit(main())
