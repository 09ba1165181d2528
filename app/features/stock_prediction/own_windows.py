"""A client's own window, read from its rows, and what of it a bundle can forecast from; no HTTP, no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from app.features.stock_prediction.window_rows import NamedRow
from data_pipeline.processing.bar_arrays import LONGEST_BREAK, BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputKind
from ml_lifecycle.export.manifest import Manifest

FOUR = ("high", "low", "close", "volume")
FIVE = ("open", *FOUR)
WHOLE_BAR = ("trading_day", *FIVE)


@dataclass(frozen=True)
class OwnWindow:
    """Rows of one window, oldest first.

    Attributes
    ----------
    n_rows : as many came.
    closes : adjusted closes since the last hole, shape ``(n,)``; where no days came, all of them.
    anchor : the last close as it came, which prices are told from.
    bars : whole bars; None where a column that one has did not come (``missing``).
    cutoff : the last row's day, where it is known.
    """

    n_rows: int
    closes: FloatArray
    anchor: float
    bars: BarArrays | None
    missing: tuple[str, ...]
    cutoff: date | None


@dataclass(frozen=True)
class ToldOfWindow:
    """What a client said about a window; nothing of it changes the forecast."""

    ticker: str | None
    exchange: str | None
    currency: str | None
    as_of: date | None
    target_trading_day: date | None


def read_rows(rows: Sequence[Any], *, as_of: date | None) -> OwnWindow:
    """Make a window of checked rows.

    Raises
    ------
    ValueError : the rows do not fit each other; says which one.
    """
    columns = _columns_of(rows)
    _require_high_above_low(columns)
    days = _days_of(columns, as_of)
    numbers = {name: np.array(values, dtype=np.float64) for name, values in columns.items() if name != "trading_day"}
    adj_close = numbers.get("adj_close", numbers["close"])
    missing = tuple(name for name in WHOLE_BAR if name not in columns)
    bars = None
    if days is not None and not missing:
        bars = BarArrays(trading_day=days, adj_close=adj_close, **{name: numbers[name] for name in FIVE})
    return OwnWindow(
        n_rows=len(rows),
        closes=adj_close[_first_after_hole(days) :],
        anchor=float(numbers["close"][-1]),
        bars=bars,
        missing=missing,
        cutoff=as_of if days is None else days[-1].item(),
    )


def readable_by(manifest: Manifest, window: OwnWindow) -> BarArrays | str:
    """The bars that a bundle would forecast ``window`` from, or why it cannot."""
    if manifest.input_kind is InputKind.CLOSES:
        bars = BarArrays.of_closes(window.closes)
    elif window.bars is None:
        return f"it reads whole bars, and {' and '.join(window.missing)} did not come"
    else:
        bars = window.bars.after_last_hole()
    if len(bars) < manifest.history_needed:
        return f"it needs {manifest.history_needed} rows without a hole, and {len(bars)} came"
    return bars


def _columns_of(rows: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
    if isinstance(rows[0], float):
        return {"close": rows}
    if isinstance(rows[0], tuple):
        names = FIVE if len(rows[0]) == len(FIVE) else FOUR
        return dict(zip(names, zip(*rows, strict=True), strict=True))
    return _named_columns_of(rows)


def _named_columns_of(rows: Sequence[NamedRow]) -> Mapping[str, Sequence[Any]]:
    listed = [row.model_dump(exclude_none=True) for row in rows]
    for place, row in enumerate(listed):
        if row.keys() != listed[0].keys():
            raise ValueError(f"row {place} names other columns than row 0")
    return {name: [row[name] for row in listed] for name in listed[0]}


def _require_high_above_low(columns: Mapping[str, Sequence[Any]]) -> None:
    for place, (high, low) in enumerate(zip(columns.get("high", ()), columns.get("low", ()), strict=False)):
        if high < low:
            raise ValueError(f"row {place} has a high below its low")


def _days_of(columns: Mapping[str, Sequence[Any]], as_of: date | None) -> DayArray | None:
    days = columns.get("trading_day")
    if days is None:
        return None
    for place, (earlier, later) in enumerate(pairwise(days), start=1):
        if later <= earlier:
            raise ValueError(f"row {place} is not of a later trading_day than the row before: oldest first")
    if as_of is not None and days[-1] != as_of:
        raise ValueError("the last row is not of the trading_day that as_of names")
    return np.array(days, dtype="datetime64[D]")


def _first_after_hole(days: DayArray | None) -> int:
    if days is None:
        return 0
    holes = np.flatnonzero(np.diff(days) > LONGEST_BREAK)
    return int(holes[-1]) + 1 if len(holes) else 0
