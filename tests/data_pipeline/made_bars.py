"""Small series made for a test, and a price source that serves them from memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from data_pipeline.processing.calendars import trading_days
from data_pipeline.sources.base import FetchedBars, PriceBasis, PriceSourceError, UnknownTickerError

NOW = datetime(2024, 12, 31, 12, tzinfo=UTC)  # long after every series here, unless a test says otherwise
HOUR = timedelta(hours=1)


def make_bars(days: Iterable[date | str], closes: Iterable[float] | None = None) -> pd.DataFrame:
    """Calm bars: opened and closed at ``closes`` (10.00, 10.01, … by default), 1 % around it, 1,000 shares."""
    index = pd.DatetimeIndex(list(days), name="trading_day").as_unit("s")
    close = 10.0 + 0.01 * np.arange(len(index)) if closes is None else np.array(list(closes), dtype=float)
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "adj_close": close}
    return pd.DataFrame({**columns, "volume": 1000.0, "dividend": 0.0, "split": 0.0}, index=index)


def make_fetched(
    bars: pd.DataFrame,
    ticker: str = "AAA",
    *,
    exchange: str = "XNYS",
    price_basis: PriceBasis = PriceBasis.SPLIT_ADJUSTED,
    source: str = "memory",
    live: bool = True,
) -> FetchedBars:
    """``bars`` as a source would answer them, in dollars."""
    return FetchedBars(ticker, bars, exchange, "USD", price_basis, source, live)


def first_days(n_days: int, *, exchange: str = "XNYS", start: date = date(2024, 1, 1)) -> list[date]:
    """The first ``n_days`` trading days from ``start`` on."""
    days: list[date] = trading_days(exchange, start, start + timedelta(days=2 * n_days + 30)).tolist()
    return days[:n_days]


@dataclass
class MemorySource:
    """A ``PriceSource`` that holds its answers and remembers what it was asked."""

    answers: Mapping[str, FetchedBars | PriceSourceError]
    name: str = "memory"
    asked: list[tuple[str, date | None, date | None]] = field(default_factory=list)

    def tickers(self) -> list[str]:
        """Every ticker that has an answer."""
        return sorted(self.answers)

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """The answer, cut to ``start <= trading_day < end``."""
        self.asked.append((ticker, start, end))
        answer = self.answers.get(ticker, UnknownTickerError(ticker, self.name, "no such ticker"))
        if isinstance(answer, PriceSourceError):
            raise answer
        days = answer.bars.index
        wanted = np.ones(len(days), dtype=bool)
        if start is not None:
            wanted &= days >= pd.Timestamp(start)
        if end is not None:
            wanted &= days < pd.Timestamp(end)
        return replace(answer, bars=answer.bars[wanted])
