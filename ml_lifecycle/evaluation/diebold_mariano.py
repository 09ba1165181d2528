"""Whether two forecasters' losses differ by more than chance."""

from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation.significance import daily_means, overlapping_cutoffs, standard_error


@dataclass(frozen=True)
class Difference:
    """Mean loss of the reference minus that of the method (above 0: the method is better), and how sure that is.

    ``statistic`` and the two-sided ``p_value`` are None where nothing varies or fewer than three days are known.
    """

    gain: float
    statistic: float | None
    p_value: float | None
    n_days: int


def diebold_mariano(losses: FloatArray, reference: FloatArray, days: DayArray, *, horizon: int) -> Difference:
    """Compare losses on the same forecasts, averaged over tickers per day.

    Diebold and Mariano (1995) with the Newey–West variance, the small-sample factor of Harvey, Leybourne and Newbold
    (1997) and Student's t with ``n_days - 1`` degrees of freedom.

    Parameters
    ----------
    losses, reference : shape ``(n,)``.
    days : cutoff of each forecast, shape ``(n,)``.
    horizon : trading days ahead; neighbouring cutoffs share outcomes over so many days.
    """
    from scipy.stats import t

    gains = daily_means(reference - losses, days)
    n, overlap = len(gains), overlapping_cutoffs(days, horizon)
    error = standard_error(gains, n_lags=overlap - 1) if n > 2 else 0.0
    mean = float(gains.mean())
    if error == 0.0:
        return Difference(mean, None, None, n)
    small_sample = (n + 1.0 - 2.0 * overlap + overlap * (overlap - 1.0) / n) / n
    statistic = mean / error * float(np.sqrt(max(small_sample, 0.0)))
    return Difference(mean, statistic, float(2.0 * t.sf(abs(statistic), n - 1)), n)
