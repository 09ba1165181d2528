"""From two bundles and stored bars to what the gate judges: both forecast at every day that neither has seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.look_ahead import future_variants
from ml_lifecycle.evaluation.evaluate import ForecastRows, NothingToEvaluateError, cutoff_days, forecast_rows
from ml_lifecycle.evaluation.forecasters import Cutoffs, Forecaster, forecast_at
from ml_lifecycle.evaluation.gate import GATE_HORIZONS, Evidence
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.export.forecaster import BundleForecaster

LOOK_AHEAD_TICKERS = 3
LOOK_AHEAD_CUTOFFS = 2  # of each of them


@dataclass(frozen=True)
class Findings:
    """What there is to judge a challenger on; ``evidence`` is None where no forecast has an outcome yet."""

    evidence: Evidence | None
    look_ahead_faults: tuple[str, ...]


def gather(
    challenger: Bundle,
    champion: Bundle,
    bars_by_ticker: Mapping[str, BarArrays],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Forecast with both at every trading day later than both calibrations, on every ticker that has the history.

    Parameters
    ----------
    progress : called with (tickers done, tickers in all, both bundles counted).
    """
    asked = BundleForecaster(challenger)
    faults = look_ahead_faults(asked, bars_by_ticker)
    days = np.array(
        cutoff_days(bars_by_ticker, after=unseen_after(challenger, champion)) if bars_by_ticker else [],
        dtype="datetime64[D]",
    )
    try:
        rows = [
            forecast_rows(forecaster, bars_by_ticker, days, GATE_HORIZONS, _half(progress, half))
            for half, forecaster in enumerate((asked, BundleForecaster(champion)))
        ]
    except NothingToEvaluateError:
        return Findings(None, tuple(faults))
    return Findings(paired(*rows), tuple(faults))


def unseen_after(*bundles: Bundle) -> date | None:
    """The later end of the calibrations; None where every bundle is the reference, which was made from no day."""
    return max((end for bundle in bundles if (end := bundle.manifest.calibration_end)), default=None)


def paired(challenger: ForecastRows, champion: ForecastRows) -> Evidence | None:
    """The forecasts that both made, where the outcomes at all horizons are known; None where there are none."""
    tickers = np.unique(np.concatenate([challenger.ticker, champion.ticker]))
    ours, theirs = (_places(rows, tickers) for rows in (challenger, champion))
    _, our_rows, their_rows = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    whole = _whole(ours[our_rows] // len(GATE_HORIZONS))
    our_rows, their_rows = our_rows[whole], their_rows[whole]
    if not len(our_rows):
        return None
    levels = tuple(level for level in challenger.levels if level in champion.levels)
    first = our_rows[:: len(GATE_HORIZONS)]
    return Evidence(
        horizons=GATE_HORIZONS,
        levels=levels,
        ticker=challenger.ticker[first],
        cutoff=challenger.cutoff[first],
        actual=challenger.actual[our_rows].reshape(-1, len(GATE_HORIZONS)),
        challenger=_at_levels(challenger.quantiles[our_rows], challenger.levels, levels),
        champion=_at_levels(champion.quantiles[their_rows], champion.levels, levels),
        reference=_at_levels(challenger.naive[our_rows], challenger.levels, levels),
    )


def look_ahead_faults(forecaster: Forecaster, bars_by_ticker: Mapping[str, BarArrays], *, seed: int = 0) -> list[str]:
    """Forecasts that move when bars after their cutoff do, one line each: the same in every bit is asked for.

    A few tickers and cutoffs are tried; ``closecast lookahead-check`` tries many.
    """
    rng = np.random.default_rng(seed)
    long_enough = [
        (ticker, piece)
        for ticker, bars in bars_by_ticker.items()
        for piece in list(bars.pieces())[-1:]
        if len(piece) > forecaster.history_needed + max(GATE_HORIZONS)
    ]
    chosen = rng.permutation(len(long_enough))[:LOOK_AHEAD_TICKERS]
    tried = [
        (*long_enough[place], int(end))
        for place in chosen
        for end in rng.integers(forecaster.history_needed, len(long_enough[place][1]) - 1, LOOK_AHEAD_CUTOFFS)
    ]
    return [fault for ticker, bars, end in tried for fault in _faults_at(forecaster, ticker, bars, end)]


def _faults_at(forecaster: Forecaster, ticker: str, bars: BarArrays, end: int) -> Iterable[str]:
    known = _forecast(forecaster, bars, end)
    for name, variant in future_variants(bars, end).items():
        if not np.array_equal(_forecast(forecaster, variant, end), known):
            yield f"{ticker}, cutoff {bars.trading_day[end]}: bars after it {name}, and the forecast moved"


def _forecast(forecaster: Forecaster, bars: BarArrays, end: int) -> FloatArray:
    with np.errstate(all="ignore"):  # of the erased future, which must not count
        return forecast_at(forecaster, [Cutoffs(bars, np.array([end]))], GATE_HORIZONS)[0]


def _places(rows: ForecastRows, tickers: np.ndarray) -> np.ndarray:
    """A number for each (ticker, cutoff, horizon), in this order."""
    horizon = np.searchsorted(GATE_HORIZONS, rows.horizon)
    day = rows.cutoff.astype("datetime64[D]").astype(np.int64)
    return (np.searchsorted(tickers, rows.ticker) * 1_000_000 + day) * len(GATE_HORIZONS) + horizon


def _whole(pairs: np.ndarray) -> np.ndarray:
    """Marks rows of a (ticker, cutoff) that is there at every horizon; ``pairs`` ascends."""
    _, place, count = np.unique(pairs, return_inverse=True, return_counts=True)
    marks: np.ndarray = count[place] == len(GATE_HORIZONS)
    return marks


def _at_levels(quantiles: FloatArray, levels: Sequence[float], wanted: Sequence[float]) -> FloatArray:
    """``(n * n_horizons, n_levels)`` to ``(n, n_horizons, n_wanted)``."""
    places = [levels.index(level) for level in wanted]
    return quantiles[:, places].reshape(-1, len(GATE_HORIZONS), len(wanted))


def _half(progress: Callable[[int, int], None] | None, half: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(half * total + done, 2 * total)
