"""yfinance's frame as the bars that every price source promises."""

from datetime import date
from typing import Any

import pandas as pd

from data_pipeline.sources.base import BAR_COLUMNS

_OUR_NAMES = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split",
}


def as_bars(history: pd.DataFrame, start: date, end: date | None) -> pd.DataFrame:
    """yfinance's frame as ``FetchedBars`` promises it: our columns, the exchange's own dates.

    A fund's capital gains are cash per share like its dividends, and are added to them.
    """
    bars = history.rename(columns=_OUR_NAMES)
    bars["dividend"] = bars["dividend"] + history.get("Capital Gains", 0.0)
    # The zone is the exchange's: midnight there, or 01:00 where summer time skipped midnight (São Paulo).
    midnights = pd.DatetimeIndex(history.index).tz_localize(None).normalize()
    bars.index = pd.DatetimeIndex(midnights.to_numpy().astype("datetime64[s]"), name="trading_day")
    wanted = bars.index >= pd.Timestamp(start)
    if end is not None:
        wanted &= bars.index < pd.Timestamp(end)  # Yahoo appends the running session, asked for or not
    return bars.loc[wanted, list(BAR_COLUMNS)].astype("float64").sort_index(kind="stable")


def empty_bars() -> pd.DataFrame:
    """The bars of a range without trading days."""
    days = pd.DatetimeIndex([], dtype="datetime64[s]", name="trading_day")
    columns: dict[str, Any] = {name: pd.Series(dtype="float64") for name in BAR_COLUMNS}
    return pd.DataFrame(columns, index=days)
