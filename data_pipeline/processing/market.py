"""What a market did as a whole: cross-sectional means over a fixed list of tickers, day by day."""

from datetime import timedelta
from typing import Final

import polars as pl

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
