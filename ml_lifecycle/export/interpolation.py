"""From the network's heads to every step, and from quantiles to the probability of a rise.

Quantiles are log returns over ``h`` trading days; levels ascend and hold the median.
"""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray

MEDIAN_LEVEL = 0.5


def median_index(levels: Sequence[float]) -> int:
    """Position of the median among ``levels``; ``ValueError`` where it is missing."""
    return list(levels).index(MEDIAN_LEVEL)


def interpolate_steps(heads: FloatArray, horizons: Sequence[int], *, median: int) -> FloatArray:
    """Quantiles at every step from the first head to the last, interpolated in variance.

    The median runs linearly in ``h``; the squared deviation from it does too, its sign kept, so that bands widen as
    a random walk's do. Heads come back bit for bit. Nothing is extrapolated.

    Parameters
    ----------
    heads : shape ``(..., n_horizons, n_levels)``, log returns.
    horizons : trading days ahead of each head, ascending.
    median : index of the median level.

    Returns
    -------
    shape ``(..., horizons[-1] - horizons[0] + 1, n_levels)``.

    Examples
    --------
    >>> heads = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0]])
    >>> interpolate_steps(heads, horizons=(1, 4), median=1)[:, 2].round(3).tolist()
    [1.0, 1.414, 1.732, 2.0]
    """
    centre = heads[..., median : median + 1]
    deviation = heads - centre
    signed_square = np.sign(deviation) * deviation**2
    between = _linear_in_h(signed_square, horizons)
    steps: FloatArray = _linear_in_h(centre, horizons) + np.sign(between) * np.sqrt(np.abs(between))
    steps[..., [h - horizons[0] for h in horizons], :] = heads  # the square root of a square is off by an ulp
    return steps


def interpolate_linearly(heads: FloatArray, horizons: Sequence[int]) -> FloatArray:
    """Each column linear in ``h`` between heads, exact at them; shapes as in ``interpolate_steps``."""
    steps = _linear_in_h(heads, horizons)
    steps[..., [h - horizons[0] for h in horizons], :] = heads
    return steps


def _linear_in_h(heads: FloatArray, horizons: Sequence[int]) -> FloatArray:
    h = np.arange(horizons[0], horizons[-1] + 1)
    right = np.clip(np.searchsorted(horizons, h, side="left"), 1, len(horizons) - 1)
    left = right - 1
    at = np.asarray(horizons, dtype=np.float64)
    weight = ((h - at[left]) / (at[right] - at[left]))[:, None]
    blended: FloatArray = heads[..., left, :] * (1.0 - weight) + heads[..., right, :] * weight
    return blended


def probability_of_rise(quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Probability that the log return is above zero, from the distribution that the quantiles outline.

    Between two quantiles the distribution function is linear; beyond the outermost it is not guessed, so that the
    probability stays within them. Where quantiles equal zero, the middle of their levels counts.

    Parameters
    ----------
    quantiles : shape ``(..., n_levels)``, not crossing.
    levels : shape ``(n_levels,)``, ascending.

    Returns
    -------
    shape ``(...)``.

    Examples
    --------
    >>> probability_of_rise(np.array([[-0.03, 0.01, 0.02], [0.01, 0.02, 0.03]]), [0.1, 0.5, 0.9]).round(6).tolist()
    [0.6, 0.9]
    """
    at = np.asarray(levels, dtype=np.float64)
    below = np.sum(quantiles < 0.0, axis=-1)
    up_to = np.sum(quantiles <= 0.0, axis=-1)
    left, right = np.clip(below - 1, 0, len(at) - 1), np.clip(below, 0, len(at) - 1)
    low = np.take_along_axis(quantiles, left[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles, right[..., None], axis=-1)[..., 0]
    gap = np.where(high > low, high - low, 1.0)
    inside = at[left] + (at[right] - at[left]) * np.clip(-low / gap, 0.0, 1.0)
    tied = (at[right] + at[np.clip(up_to - 1, 0, len(at) - 1)]) / 2.0
    probability: FloatArray = 1.0 - np.where(up_to > below, tied, inside)
    return probability
