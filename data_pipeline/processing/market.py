"""What a market did as a whole: cross-sectional means over a fixed list of tickers, day by day."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.serving_window import MarketInputs, with_market

COUNTED_SHARE = 0.8  # of the universe that must have a return for the day to count
LONGEST_GAP = timedelta(days=14)  # calendar days; a return over more is that of a hole, not of a day

MARKET_COLUMNS: Final[dict[str, pl.DataType]] = {
    "trading_day": pl.Date(),
    "mean_return": pl.Float64(),
    "mean_absolute_return": pl.Float64(),
    "n_returns": pl.Int64(),
}


def market_means(bars: pl.LazyFrame, n_members: int) -> pl.DataFrame:
    """Mean and mean absolute log return of each day that counts, oldest first.

    Parameters
    ----------
    bars : final bars of the members: columns ``ticker trading_day adj_close``, in any order.
    n_members : size of the universe; a day counts with returns of at least ``COUNTED_SHARE`` of it.

    Returns
    -------
    Columns ``trading_day mean_return mean_absolute_return n_returns``.
    """
    bars = bars.sort("ticker", "trading_day")
    gap = pl.col("trading_day").diff().over("ticker")
    log_return = pl.col("adj_close").log().diff().over("ticker")
    returns = bars.select("trading_day", log_return=pl.when(gap <= LONGEST_GAP).then(log_return)).drop_nulls()
    means = returns.group_by("trading_day").agg(
        mean_return=pl.col("log_return").mean(),
        mean_absolute_return=pl.col("log_return").abs().mean(),
        n_returns=pl.len().cast(pl.Int64),
    )
    return means.filter(pl.col("n_returns") >= COUNTED_SHARE * n_members).sort("trading_day").collect()


def align(universe: str, means: pl.DataFrame, days: DayArray) -> MarketInputs:
    """``means`` (oldest first) on ``days``; NaN where a day does not count."""
    known = means["trading_day"].to_numpy().astype("datetime64[D]")
    places = np.searchsorted(known, days).clip(max=max(0, len(known) - 1))
    found = known[places] == days if len(known) else np.zeros(len(days), dtype=bool)

    def on_days(name: str) -> FloatArray:
        values = np.full(len(days), np.nan)
        values[found] = means[name].to_numpy()[places[found]]
        return values

    return MarketInputs(universe, on_days("mean_return"), on_days("mean_absolute_return"))


def with_means_of(members: Collection[str], bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, BarArrays]:
    """Bars of one exchange, as read from a file, with the means over ``members`` among them.

    From a store bars come with the means of its market table; this is for bars that were never collected.

    Raises
    ------
    KeyError : a member's bars are not given: without it the means would be those of another universe.
    """
    frames = [
        pl.LazyFrame({"ticker": [ticker] * len(bars), "trading_day": bars.trading_day, "adj_close": bars.adj_close})
        for ticker, bars in ((ticker, bars_by_ticker[ticker]) for ticker in sorted(members))
    ]
    means = market_means(pl.concat(frames), len(frames))
    return {
        ticker: with_market(bars, align("file", means, bars.trading_day)) for ticker, bars in bars_by_ticker.items()
    }
