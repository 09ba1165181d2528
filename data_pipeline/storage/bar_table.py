"""The table of bars: its columns, what a run changes in it, and the digest of its content."""

import hashlib
import json
import zlib
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Final

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.bars import ROUNDING
from data_pipeline.sources.base import BAR_COLUMNS

N_BUCKETS = 16  # a merge rewrites whole files: one sixteenth of an exchange at most for one ticker
KEY: Final = ("exchange", "ticker_bucket", "ticker", "trading_day")
SERIES_COLUMNS: Final = ("exchange", "currency", "source", "live", "price_basis")  # one value per ticker at a time

BAR_TABLE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "exchange": pl.String(),
    "ticker_bucket": pl.Int32(),
    "ticker": pl.String(),
    "trading_day": pl.Date(),
    **dict.fromkeys(BAR_COLUMNS, pl.Float64()),
    "currency": pl.String(),
    "source": pl.String(),
    "live": pl.Boolean(),
    "price_basis": pl.String(),
    "collected_at": pl.Datetime("us", "UTC"),
}


class Change(StrEnum):
    """What a run does to one stored row."""

    ADDED = "added"
    REVISED = "revised"
    REMOVED = "removed"


def ticker_bucket(ticker: str) -> int:
    """The bucket that holds ``ticker``, the same one on every machine and in every year."""
    return zlib.crc32(ticker.encode()) % N_BUCKETS


def changed_rows(stored: pl.DataFrame, incoming: pl.DataFrame, replaced: Collection[str]) -> pl.DataFrame:
    """The rows by which ``incoming`` changes ``stored``, with a column ``change``.

    A row is revised when a value differs by more than rounding, and always when its ticker's source, basis, currency
    or exchange does. Stored rows that ``incoming`` lacks are removed for the ``replaced`` tickers only.
    """
    if stored.is_empty():
        return incoming.with_columns(change=pl.lit(str(Change.ADDED)))
    known = stored.select(*KEY, *(pl.col(name).alias(f"stored_{name}") for name in (*BAR_COLUMNS, *SERIES_COLUMNS[1:])))
    compared = incoming.join(known, on=KEY, how="left", maintain_order="left")
    change = (
        pl.when(pl.col("stored_close").is_null())
        .then(pl.lit(str(Change.ADDED)))
        .when(_differs())
        .then(pl.lit(str(Change.REVISED)))
    )
    written = compared.with_columns(change=change).filter(pl.col("change").is_not_null())
    gone = stored.filter(pl.col("ticker").is_in(list(replaced))).join(incoming, on=KEY, how="anti")
    names = [*incoming.columns, "change"]
    return pl.concat([written.select(names), gone.with_columns(change=pl.lit(str(Change.REMOVED))).select(names)])


def content_digest(bars: pl.DataFrame) -> str:
    """SHA-256 over every bar of every ticker, the same for equal content in whatever order and files it is stored.

    When a bar was collected is left out: two collections of the same bars are the same data.
    """
    bars = bars.sort("ticker", "trading_day")
    series = bars.group_by("ticker", *SERIES_COLUMNS, maintain_order=True).len()
    digest = hashlib.sha256(json.dumps(series.rows()).encode())
    digest.update(bars["trading_day"].to_numpy().astype("<M8[D]").tobytes())
    for name in BAR_COLUMNS:
        digest.update(bars[name].to_numpy().astype("<f8", copy=False).tobytes())
    return digest.hexdigest()


def split_by_ticker(bars: pl.DataFrame) -> dict[str, BarArrays]:
    """One ticker's bars each, oldest first, from a table of many."""
    bars = bars.sort("ticker", "trading_day")
    runs = bars.group_by("ticker", maintain_order=True).len()
    arrays = _as_bar_arrays(bars)
    ends = np.cumsum(runs["len"].to_numpy())
    starts = ends - runs["len"].to_numpy()
    return {
        ticker: arrays[slice(start, end)]
        for ticker, start, end in zip(runs["ticker"].to_list(), starts.tolist(), ends.tolist(), strict=True)
    }


def between(start: date | None, end: date | None) -> pl.Expr:
    """Rows with ``start <= trading_day < end``; None leaves a side open."""
    after = pl.lit(value=True) if start is None else pl.col("trading_day") >= start
    before = pl.lit(value=True) if end is None else pl.col("trading_day") < end
    return after & before


def _as_bar_arrays(bars: pl.DataFrame) -> BarArrays:
    names = ("open", "high", "low", "close", "adj_close", "volume")
    return BarArrays(
        trading_day=bars["trading_day"].to_numpy().astype("datetime64[D]"),
        **{name: bars[name].to_numpy() for name in names},
    )


def _differs() -> pl.Expr:
    values = [
        (pl.col(name) - pl.col(f"stored_{name}")).abs() > ROUNDING * pl.col(f"stored_{name}").abs()
        for name in BAR_COLUMNS
    ]
    texts = [pl.col(name) != pl.col(f"stored_{name}") for name in SERIES_COLUMNS[1:]]
    return pl.any_horizontal(*values, *texts)
