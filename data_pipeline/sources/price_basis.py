"""What the closes of a file have been corrected for, told by the prices themselves."""

import math
from typing import Final

import polars as pl

from data_pipeline.sources.base import PriceBasis

# A day's change of adj_close/close that no dividend makes: the smallest common split (4:3) does.
SPLIT_STEP: Final = math.log(4 / 3)
# Whole-number splits, and how far a day's own return may carry the jump away from them (log).
SPLIT_RATIOS: Final = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50)
SPLIT_TOLERANCE: Final = 0.05
# Prices halve for real as well (PCG 2019-01-14), yet not in so large a part of a file's tickers.
SHARE_OF_TICKERS: Final = 0.25

_RAW_WORDS = ("raw", "unadjusted")


def infer_price_basis(bars: pl.DataFrame, name: str) -> PriceBasis:
    """Say what ``close`` has been corrected for; a caller who knows better says so instead.

    1. A file named ``raw`` or ``unadjusted`` is raw.
    2. With ``adj_close``: raw when ``adj_close / close`` ever changes by a third or more from one bar to the next (a
       split lies between them), else split-adjusted.
    3. Without: raw when at least a quarter of the tickers jump, at the open and at the close, by a whole-number split
       ratio; else fully adjusted, as Yahoo's ``auto_adjust`` and most panels are.

    Parameters
    ----------
    bars : sorted by ``ticker, date``, with ``open close`` and perhaps ``adj_close``.
    name : of the file, without folder and extension.
    """
    if any(word in name.lower().replace("-", "_").split("_") for word in _RAW_WORDS):
        return PriceBasis.RAW
    if "adj_close" in bars.columns:
        return PriceBasis.RAW if _adjustment_steps(bars) else PriceBasis.SPLIT_ADJUSTED
    return PriceBasis.RAW if _share_with_split_jumps(bars) >= SHARE_OF_TICKERS else PriceBasis.FULLY_ADJUSTED


def _adjustment_steps(bars: pl.DataFrame) -> bool:
    factor = (pl.col("adj_close") / pl.col("close")).log()
    step = factor.diff().over("ticker").abs()
    return bars.filter((pl.col("close") > 0) & (pl.col("adj_close") > 0)).filter(step >= SPLIT_STEP).height > 0


def _share_with_split_jumps(bars: pl.DataFrame) -> float:
    previous_close = pl.col("close").shift(1).over("ticker")
    jumps = bars.filter((pl.col("open") > 0) & (pl.col("close") > 0)).select(
        "ticker",
        at_open=(pl.col("open") / previous_close).log().abs(),
        at_close=(pl.col("close") / previous_close).log().abs(),
    )
    split = pl.any_horizontal(
        (pl.col("at_open") - math.log(ratio)).abs().le(SPLIT_TOLERANCE)
        & (pl.col("at_close") - math.log(ratio)).abs().le(SPLIT_TOLERANCE)
        for ratio in SPLIT_RATIOS
    )
    jumping = jumps.filter(split)["ticker"].n_unique()
    return jumping / max(1, bars["ticker"].n_unique())
