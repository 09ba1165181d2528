"""Every input column by its name: one table for training, backtest and serving."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

import numpy as np

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.bar_columns import BAR_COLUMNS
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.context_columns import CONTEXT_COLUMNS
from data_pipeline.processing.event_columns import EVENT_COLUMNS
from data_pipeline.processing.indicators import INDICATORS
from data_pipeline.processing.market_columns import MARKET_COLUMNS
from data_pipeline.processing.price_columns import RANGE_COLUMNS, RAW_COLUMNS

COLUMNS = {
    column.name: column
    for column in (
        *BAR_COLUMNS,
        *CONTEXT_COLUMNS,
        *EVENT_COLUMNS,
        *INDICATORS,
        *MARKET_COLUMNS,
        *RANGE_COLUMNS,
    )
}
COMPARED_COLUMNS = {column.name: column for column in RAW_COLUMNS}  # trained on to be compared, never promoted


def find_column(name: str) -> InputColumn:
    """The column of that name.

    Raises
    ------
    ConfigurationError : no such column; the message names those that are spelt like it.
    """
    try:
        return COLUMNS.get(name) or COMPARED_COLUMNS[name]
    except KeyError:
        alike = get_close_matches(name, COLUMNS, n=5, cutoff=0.3) or sorted(COLUMNS)[:5]
        raise ConfigurationError(f"no input column {name!r}; of {len(COLUMNS)} like it: {', '.join(alike)}") from None


def compute_columns(
    bars: BarArrays, names: Iterable[str], find: Callable[[str], InputColumn] = find_column
) -> FloatArray:
    """Columns side by side, shape ``(n_bars, n_columns)``; NaN in each column's warm-up."""
    computed = [find(name).compute(bars) for name in names]
    return np.stack(computed, axis=1) if computed else np.empty((len(bars), 0))


def warm_up(names: Iterable[str], find: Callable[[str], InputColumn] = find_column) -> int:
    """Bars before the first one at which all the columns are exact.

    >>> warm_up(["log_return", "volume_ratio"])
    19
    """
    return max((find(name).warm_up for name in names), default=0)
