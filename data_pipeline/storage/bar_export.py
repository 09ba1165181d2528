"""Stored bars as one file that others read, and that the source `files` reads back."""

from collections.abc import Collection
from datetime import date
from pathlib import Path

import polars as pl

from data_pipeline.errors import ConfigurationError, NothingStoredError
from data_pipeline.sources.bar_file import SUFFIXES
from data_pipeline.storage.bar_table import between
from data_pipeline.storage.snapshot import Snapshot

COLUMNS = ("open", "high", "low", "close", "adj_close", "volume", "dividend", "split")
LINEAGE = ("exchange", "currency", "source", "price_basis")


def export_bars(
    snapshot: Snapshot,
    out: Path,
    *,
    tickers: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> int:
    """Write the bars with ``start <= trading_day < end``, by ticker and day, and give their number.

    CSV or Parquet, by the file's suffix. A file of that name is replaced in one step, once all is written.

    Raises
    ------
    ConfigurationError : neither suffix.
    NothingStoredError : one of ``tickers`` is not stored, or nothing is.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"{out}: name a file that ends in {' or '.join(SUFFIXES)}")
    stored = [info.ticker for info in snapshot.series()]
    if absent := sorted(set(tickers or ()) - set(stored)):
        raise NothingStoredError(absent[0])
    if not stored:
        raise NothingStoredError
    rows = snapshot.rows(tickers or stored).filter(between(start, end)).sort("ticker", "trading_day")
    table = rows.select("ticker", pl.col("trading_day").alias("date"), *COLUMNS, *LINEAGE)
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        if out.suffix.lower() == ".csv":
            table.write_csv(unfinished)
        else:
            table.write_parquet(unfinished)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return table.height
