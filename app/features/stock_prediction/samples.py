"""Bodies that ``POST /predict`` takes, made from stored bars: for whoever wants to see what one looks like."""

from collections.abc import Iterator
from datetime import date

import numpy as np
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


async def sample_of(db: AsyncSession, ticker: str | None, *, n_rows: int) -> SampleData:
    """The newest ``n_rows`` stored bars of a ticker as a window; of the first stored one where none is named.

    Raises
    ------
    TickerNotStoredError, NothingStoredError : there is nothing to make it from.
    InsufficientHistoryError : fewer bars than wanted.
    UnusableBarsError : a close among them is missing or not positive.
    """
    window = await read_window(db, ticker or await _first_stored(db))
    bars = bars_of(window).after_last_hole().last(n_rows)
    if len(bars) < n_rows:
        raise InsufficientHistoryError(needed=n_rows, found=len(bars), ticker=window.ticker)
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
    columns = {name: getattr(bars, name) for name in COLUMNS}
    least = {name: 0.0 if name == "volume" else LEAST_PRICE for name in COLUMNS}
    usable = {
        name: values.tolist()
        for name, values in columns.items()
        if (np.isfinite(values) & (values >= least[name])).all()
    }
    if missing := [name for name in NEEDED if name not in usable]:
        raise UnusableBarsError(f"{ticker}: {missing[0]} is missing or not positive on one of the days")
    for place, day in enumerate(bars.trading_day.tolist()):
        yield {"trading_day": day, **{name: values[place] for name, values in usable.items()}}
