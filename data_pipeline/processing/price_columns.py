"""The bars as they are, or within their own range: the inputs of most LSTMs that one reads of, for comparison.

Neither is of use to a network that is to know many shares: the first differ with the price level, which means nothing,
and the second forget how far the share moves (docs/tuning.md has them side by side).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn

FIELDS = ("open", "high", "low", "close", "volume")
RANGE_DAYS = 60


def raw(bars: BarArrays, field: str) -> FloatArray:
    """A bar's own number, in listing currency or shares."""
    values: FloatArray = np.array(getattr(bars, field), dtype=np.float64)
    return values


def in_range(bars: BarArrays, field: str) -> FloatArray:
    """Where a number lies between the lowest and the highest of 60 bars: 0 to 1, 0.5 where they are one.

    Prices are adjusted and share one range, lowest low to highest high; the volume has its own.
    """
    factor = bars.adj_close / bars.close
    value = bars.volume if field == "volume" else getattr(bars, field) * factor
    low, high = (value, value) if field == "volume" else (bars.low * factor, bars.high * factor)
    lowest, highest = _trailing(low, np.min), _trailing(high, np.max)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = (value - lowest) / (highest - lowest)
    return np.where(highest == lowest, 0.5, place)


def _trailing(values: FloatArray, reduce: Callable[..., FloatArray]) -> FloatArray:
    found = np.full(len(values), np.nan)
    if len(values) >= RANGE_DAYS:
        found[RANGE_DAYS - 1 :] = reduce(sliding_window_view(values, RANGE_DAYS), axis=1)
    return found


RANGE_COLUMNS = tuple(
    InputColumn(f"{field}_in_range", RANGE_DAYS - 1, partial(in_range, field=field)) for field in FIELDS
)
# A later split rescales every stored price: what reads the level has seen it. The gate's look-ahead check refuses
# networks that do, so these are for comparison only.
RAW_COLUMNS = tuple(InputColumn(f"raw_{field}", 0, partial(raw, field=field)) for field in FIELDS)
