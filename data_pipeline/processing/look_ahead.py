"""Hunting look-ahead: change everything after a cutoff and demand that nothing up to the cutoff moves.

Used by the tests on every input column; a column of one's own can be held against the same measures.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray

Compute = Callable[[BarArrays], FloatArray]

FACTOR_TOLERANCE = 1e-12  # relative, when a later dividend rescales the past
START_TOLERANCE = 1e-9  # relative, when the series starts later, beyond the warm-up
LATER_FACTOR = 0.9731


def look_ahead_faults(compute: Compute, bars: BarArrays, *, end: int, warm_up: int, seed: int = 0) -> list[str]:
    """What is wrong with a computation, one line each; empty where nothing is.

    Parameters
    ----------
    compute : bars to one value (or one row of values) per bar.
    end : row of the cutoff, with bars after it.
    warm_up : rows that need not be exact, as the computation declares.
    """
    known = compute(bars)[: end + 1]
    faults = [
        f"bars after the cutoff {name}: a value at or before it moved"
        for name, variant in future_variants(bars, end, seed).items()
        if not np.array_equal(compute(variant)[: end + 1], known, equal_nan=True)
    ]
    rescaled = replace(bars, adj_close=bars.adj_close * LATER_FACTOR)
    if not _agree(compute(rescaled)[warm_up : end + 1], known[warm_up:], FACTOR_TOLERANCE):
        faults.append("a later adjustment factor moved a value")
    start = (end - warm_up) // 2
    if start > 0 and not _agree(compute(bars[start:])[warm_up : end + 1 - start], known[start + warm_up :]):
        faults.append(f"the series starts {start} bars later: a value beyond the warm-up of {warm_up} moved")
    if not np.isfinite(known[warm_up:]).all():
        faults.append(f"a value beyond the warm-up of {warm_up} is not finite")
    return faults


def future_variants(bars: BarArrays, end: int, seed: int = 0) -> dict[str, BarArrays]:
    """The same bars up to row ``end`` and another future after it, by what was done to the future."""
    rng = np.random.default_rng(seed)
    after = np.arange(len(bars)) > end
    factor = np.where(after, np.exp(rng.normal(0.0, 0.2, len(bars))), 1.0)
    rolled = np.concatenate([np.arange(end + 1), np.roll(np.arange(end + 1, len(bars)), 1)])
    shifted = replace(bars[rolled], trading_day=bars.trading_day + np.where(after, 3, 0).astype("timedelta64[D]"))
    return {
        "changed": _each_number(bars, lambda values: values * factor),
        "erased": _each_number(bars, lambda values: np.where(after, np.nan, values)),
        "shifted": shifted,
        "cut": bars[: end + 1],
    }


def _each_number(bars: BarArrays, change: Callable[[FloatArray], FloatArray]) -> BarArrays:
    numbers = [field.name for field in fields(bars) if field.name != "trading_day"]
    return BarArrays(trading_day=bars.trading_day, **{name: change(getattr(bars, name)) for name in numbers})


def _agree(values: FloatArray, known: FloatArray, tolerance: float = START_TOLERANCE) -> bool:
    """Equal to ``tolerance`` of the value, or of its column's usual size where the value itself is near 0.

    A ratio minus 1 has an error of 1e-16 however small it is: near 0 no computation could keep a relative tolerance.
    """
    usual = np.nanmedian(np.abs(known), axis=0) if len(known) else 0.0
    allowed = tolerance * np.maximum(np.abs(known), usual)
    return bool(np.all((np.abs(values - known) <= allowed) | (np.isnan(values) & np.isnan(known))))
