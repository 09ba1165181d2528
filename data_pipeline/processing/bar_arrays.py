"""Bars as NumPy arrays: the form that training, backtest and serving share."""

from dataclasses import dataclass, field, fields
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DayArray = NDArray[np.datetime64]

MARKET_ARRAYS = ("market_return", "market_absolute_return")
_absent = partial(np.empty, 0)
LONGEST_BREAK = np.timedelta64(30, "D")  # exchanges close for ten days at most; a longer break is a delisting or a hole


@dataclass(frozen=True)
class BarArrays:
    """One ticker's daily bars, oldest first; every array has shape ``(n_bars,)``.

    ``trading_day`` is ``datetime64[D]``; prices are in listing currency, ``adj_close`` is corrected for splits and
    dividends, ``volume`` counts shares. ``market_return`` and ``market_absolute_return`` are the mean log return and
    its mean size over the ticker's universe on the bar's day, NaN where the day does not count; left out, they are NaN
    throughout: there is no universe.
    """

    trading_day: DayArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    adj_close: FloatArray
    volume: FloatArray
    market_return: FloatArray = field(default_factory=_absent)
    market_absolute_return: FloatArray = field(default_factory=_absent)

    def __post_init__(self) -> None:
        for name in MARKET_ARRAYS:
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self), np.nan))  # the way round a frozen dataclass
        lengths = {one.name: len(getattr(self, one.name)) for one in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of one length wanted, got {lengths}")

    @classmethod
    def of_closes(cls, closes: FloatArray) -> Self:
        """Bars of which nothing but the adjusted closes is known, oldest first.

        They stand on consecutive days from 1970-01-01, which mean nothing; every other number is NaN, so that whatever
        reads more than closes cannot be mistaken for an answer.
        """
        unknown = np.full(len(closes), np.nan)
        days = np.datetime64("1970-01-01", "D") + np.arange(len(closes))
        prices = {"close": closes, "adj_close": closes}
        return cls(trading_day=days, open=unknown, high=unknown, low=unknown, **prices, volume=unknown)

    def __len__(self) -> int:
        return len(self.trading_day)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Self:
        return type(self)(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    @property
    def cutoff(self) -> date:
        """Last trading day held."""
        day: date = self.trading_day[-1].astype("datetime64[D]").item()
        return day

    def last(self, n_bars: int) -> Self:
        """The newest ``n_bars`` bars, or all where there are fewer."""
        return self[max(0, len(self) - n_bars) :]

    def pieces(self) -> list[Self]:
        """The bars between holes, oldest piece first.

        A hole is a break of more than 30 calendar days. The return over one is not the return of a day, so no window
        and no target may span it.
        """
        first = np.flatnonzero(np.diff(self.trading_day) > LONGEST_BREAK) + 1
        bounds = [0, *first.tolist(), len(self)]
        return [self[start:end] for start, end in pairwise(bounds)]

    def after_last_hole(self) -> Self:
        """The newest of the ``pieces``."""
        return self.pieces()[-1]

    def until(self, day: date) -> Self:
        """The bars up to and including ``day``."""
        return self[: int(np.searchsorted(self.trading_day, np.datetime64(day, "D"), side="right"))]

    def since(self, day: date) -> Self:
        """The bars from ``day`` on."""
        return self[int(np.searchsorted(self.trading_day, np.datetime64(day, "D"), side="left")) :]
