"""Split-conformal correction of intervals, from a part of the data that neither training nor its stopping saw."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray

# Independent outcomes that are believed half: fewer say more about their months than about the network. By four
# walk-forward folds; `python benchmarks/input_columns/run.py --table members` prints it beside full belief.
HALF_BELIEVED = 100.0


def conformal_offsets(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """What to add to each quantile so that central intervals cover as promised (conformalised quantile regression).

    Each central interval is widened or narrowed at both ends alike, by the quantile of how far outcomes fell outside
    it. The median stays: its error is no matter of calibration.

    Parameters
    ----------
    actual : shape ``(n, n_horizons)``, scaled units; NaN where the outcome is not known.
    quantiles : shape ``(n, n_horizons, n_levels)``, scaled units.
    levels : ascending, symmetric around the median.

    Returns
    -------
    shape ``(n_horizons, n_levels)``, scaled units; 0 at a horizon without outcomes.
    """
    n_levels = len(levels)
    offsets = np.zeros((actual.shape[1], n_levels))
    for lower in range(n_levels // 2):
        upper = n_levels - 1 - lower
        outside = np.maximum(quantiles[..., lower] - actual, actual - quantiles[..., upper])
        for place in range(actual.shape[1]):
            widening = _conformal_quantile(outside[:, place], levels[upper] - levels[lower])
            offsets[place, lower], offsets[place, upper] = -widening, widening
    return offsets


def believed_offsets(offsets: FloatArray, horizons: Sequence[int], *, n_days: int) -> FloatArray:
    """``offsets (n_horizons, n_levels)`` drawn towards 0, the more the fewer outcomes they come from.

    Shares fall and rise together and outcomes over ``h`` days overlap, so that ``n_days`` of a whole market hold about
    ``n = n_days / h`` independent ones, however many tickers there are. What they say counts ``n / (n + 100)``, as in
    credibility theory (Bühlmann 1967): nine months are two thirds believed at one day, and hardly at a month.

    Parameters
    ----------
    n_days : different cutoff days among the outcomes' forecasts: where one ticker is asked every tenth day, a tenth.

    >>> believed_offsets(np.array([[-1.0, 1.0], [-1.0, 1.0]]), (1, 10), n_days=100).round(3).tolist()
    [[-0.5, 0.5], [-0.091, 0.091]]
    """
    independent = n_days / np.asarray(horizons, dtype=np.float64)
    believed: FloatArray = offsets * (independent / (independent + HALF_BELIEVED))[:, None]
    return believed


def _conformal_quantile(scores: FloatArray, level: float) -> float:
    """The ``ceil((n + 1) * level)``-th smallest known score, the largest where there are too few; 0 without any."""
    known = np.sort(scores[~np.isnan(scores)])
    if not len(known):
        return 0.0
    rank = int(np.ceil((len(known) + 1) * level - 1e-9))
    return float(known[min(rank, len(known)) - 1])
