"""From two bundles and stored bars to what the gate judges: both forecast at every day that neither has seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from ml_lifecycle.evaluation.evaluate import ForecastRows, NothingToEvaluateError, cutoff_days, forecast_rows
from ml_lifecycle.evaluation.gate import GATE_HORIZONS, Evidence
from ml_lifecycle.evaluation.look_ahead_check import check_bundle
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.export.forecaster import BundleForecaster

NOTHING = Evidence(
    horizons=GATE_HORIZONS,
    levels=(),
    ticker=np.empty(0, dtype=np.str_),
    cutoff=np.empty(0, dtype="datetime64[D]"),
    actual=np.empty((0, len(GATE_HORIZONS))),
    challenger=np.empty((0, len(GATE_HORIZONS), 0)),
    champion=np.empty((0, len(GATE_HORIZONS), 0)),
    reference=np.empty((0, len(GATE_HORIZONS), 0)),
)


@dataclass(frozen=True)
class Findings:
    """What there is to judge a challenger on; ``evidence`` has no row where no forecast has an outcome yet."""

    evidence: Evidence
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
    faults = tuple(check_bundle(challenger, bars_by_ticker))
    after = unseen_after(challenger, champion)
    days = np.array(cutoff_days(bars_by_ticker, after=after), dtype="datetime64[D]")
    try:
        rows = [
            forecast_rows(BundleForecaster(bundle), bars_by_ticker, days, GATE_HORIZONS, _half(progress, half))
            for half, bundle in enumerate((challenger, champion))
        ]
    except NothingToEvaluateError:
        return Findings(NOTHING, faults)
    return Findings(paired(*rows), faults)


def unseen_after(*bundles: Bundle) -> date | None:
    """The later end of the calibrations; None where every bundle is the reference, which was made from no day."""
    return max((end for bundle in bundles if (end := bundle.manifest.calibration_end)), default=None)


def paired(challenger: ForecastRows, champion: ForecastRows) -> Evidence:
    """The forecasts that both made, where the outcomes at all horizons are known."""
    tickers = np.unique(np.concatenate([challenger.ticker, champion.ticker]))
    ours, theirs = (_places(rows, tickers) for rows in (challenger, champion))
    _, our_rows, their_rows = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    whole = _whole(ours[our_rows] // len(GATE_HORIZONS))
    our_rows, their_rows = our_rows[whole], their_rows[whole]
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
