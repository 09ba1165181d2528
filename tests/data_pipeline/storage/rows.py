"""Rows of the bar table made for a test."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from data_pipeline.processing.bars import CheckedBars, check_bars
from data_pipeline.sources.base import PriceBasis
from data_pipeline.ticker_collection import stored_rows
from tests.data_pipeline.made_bars import HOUR, NOW, make_bars, make_fetched


def make_rows(
    ticker: str,
    days: Sequence[date],
    closes: Sequence[float] | None = None,
    *,
    source: str = "memory",
    price_basis: PriceBasis = PriceBasis.SPLIT_ADJUSTED,
    exchange: str = "XNYS",
) -> pl.DataFrame:
    """Checked bars of one ticker as they are stored."""
    fetched = make_fetched(make_bars(days, closes), ticker, exchange=exchange, price_basis=price_basis, source=source)
    checked: CheckedBars = check_bars(fetched, now=NOW, final_after=HOUR)
    return stored_rows(fetched, checked, NOW)
