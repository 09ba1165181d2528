"""Bars as NumPy arrays: the form that training, backtest and serving share."""

from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DayArray = NDArray[np.datetime64]


@dataclass(frozen=True)
class BarArrays:
    """One ticker's daily bars, oldest first; every array has shape ``(n_bars,)``.

    ``trading_day`` is ``datetime64[D]``; prices are in listing currency, ``adj_close`` is corrected for splits and
    dividends, ``volume`` counts shares.
    """

    trading_day: DayArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    adj_close: FloatArray
    volume: FloatArray

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of one length wanted, got {lengths}")

    def __len__(self) -> int:
        return len(self.trading_day)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def cutoff(self) -> date:
        """Last trading day held."""
        day: date = self.trading_day[-1].astype("datetime64[D]").item()
        return day

    def last(self, n_bars: int) -> Self:
        """The newest ``n_bars`` bars, or all where there are fewer."""
        return self[max(0, len(self) - n_bars) :]

    def until(self, day: date) -> Self:
        """The bars up to and including ``day``."""
        return self[: int(np.searchsorted(self.trading_day, np.datetime64(day, "D"), side="right"))]
