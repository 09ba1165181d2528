"""Builders of bars for the tests of the price sources."""

from collections.abc import Mapping, Sequence

import pandas as pd

from data_pipeline.sources.base import FetchedBars, PriceBasis
from data_pipeline.sources.exchanges import currency_of, exchange_of

DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
CLOSES = (100.0, 102.0, 101.0, 103.0)


def make_bars(
    days: Sequence[str] = DAYS,
    closes: Sequence[float] = CLOSES,
    *,
    dividend: Mapping[str, float] | None = None,
    split: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Bars whose close is told; open a unit below it, high and low a unit beyond, volume 1,000 more each day."""
    index = pd.DatetimeIndex(pd.to_datetime(list(days)).as_unit("s"), name="trading_day")
    close = pd.Series(list(closes), index=index, dtype="float64")
    return pd.DataFrame(
        {
            "open": close - 1,
            "high": close + 1,
            "low": close - 2,
            "close": close,
            "adj_close": close * 0.5,
            "volume": [1000.0 * (place + 1) for place in range(len(index))],
            "dividend": [(dividend or {}).get(day, 0.0) for day in days],
            "split": [(split or {}).get(day, 0.0) for day in days],
        },
        index=index,
    )


def make_fetched(ticker: str = "AAPL", bars: pd.DataFrame | None = None, *, source: str = "made") -> FetchedBars:
    """One ticker's answer of a source that is made up."""
    exchange = exchange_of(ticker)
    return FetchedBars(
        ticker=ticker,
        bars=make_bars() if bars is None else bars,
        exchange=exchange,
        currency=currency_of(exchange),
        price_basis=PriceBasis.SPLIT_ADJUSTED,
        source=source,
        live=False,
    )
