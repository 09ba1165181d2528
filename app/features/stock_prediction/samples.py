"""Bodies that ``POST /predict`` takes, made from stored bars: for whoever wants to see what one looks like."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data import service as market_data
from app.features.market_data.service import bars_of, read_window
from app.features.stock_prediction.schemas import SampleData
from app.features.stock_prediction.window_rows import LEAST_PRICE
from data_pipeline.errors import InsufficientHistoryError, NothingStoredError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import UnusableBarsError

COLUMNS = ("open", "high", "low", "close", "adj_close", "volume")
NEEDED = ("close", "adj_close")


@dataclass(frozen=True)
class SampleSize:
    """How many rows are wanted: ``most`` where as many are stored, and never fewer than ``least``.

    For a bundle these are its ``history_used`` and ``history_needed``: with the former the answer is that of the stored
    ticker. ``whole_bars``: older rows are left out rather than a column that the newest ``least`` have.
    """

    least: int
    most: int
    whole_bars: bool = False


async def sample_of(db: AsyncSession, ticker: str | None, size: SampleSize) -> SampleData:
    """The newest stored bars of a ticker as a window; of the first stored one where none is named.

    Raises
    ------
    TickerNotStoredError, NothingStoredError : there is nothing to make it from.
    InsufficientHistoryError : fewer bars than wanted.
    UnusableBarsError : a close among them is missing or not positive.
    """
    window = await read_window(db, ticker or await _first_stored(db))
    bars = bars_of(window).after_last_hole().last(size.most)
    if len(bars) < size.least:
        raise InsufficientHistoryError(needed=size.least, found=len(bars), ticker=window.ticker)
    if size.whole_bars:
        bars = _of_the_same_columns(bars, size.least)
    return SampleData(
        ticker=window.ticker,
        exchange=window.exchange,
        currency=window.currency,
        as_of=window.cutoff,
        target_trading_day=window.target_trading_days[0],
        sequence=list(_rows(bars, window.ticker)),
    )


async def _first_stored(db: AsyncSession) -> str:
    page = await market_data.list_tickers(db, cursor=None, limit=1)
    if not page.items:
        raise NothingStoredError
    return page.items[0].ticker


def _rows(bars: BarArrays, ticker: str) -> Iterator[dict[str, date | float]]:
    """Whole rows; a column of which a value is unusable is left out throughout: the rows of a window must agree."""
    usable = {name: getattr(bars, name).tolist() for name, known in _usable(bars).items() if known.all()}
    if missing := [name for name in NEEDED if name not in usable]:
        raise UnusableBarsError(f"{ticker}: {missing[0]} is missing or not positive on one of the days")
    for place, day in enumerate(bars.trading_day.tolist()):
        yield {"trading_day": day, **{name: values[place] for name, values in usable.items()}}


def _of_the_same_columns(bars: BarArrays, least: int) -> BarArrays:
    """The bars since the last one that lacks a column which the newest ``least`` have."""
    lacking = ~np.all([known for known in _usable(bars).values() if known[-least:].all()], axis=0)
    return bars[int(np.flatnonzero(lacking)[-1]) + 1 :] if lacking.any() else bars


def _usable(bars: BarArrays) -> dict[str, NDArray[np.bool_]]:
    """By column, on which days its value may be posted."""
    columns = {name: getattr(bars, name) for name in COLUMNS}
    return {
        name: np.isfinite(values) & (values >= (0.0 if name == "volume" else LEAST_PRICE))
        for name, values in columns.items()
    }
