"""Market means beside the bars: per universe and day, stamped with the data version that they were computed from.

A universe is a fixed list of tickers of one exchange, by whose name it goes. It is only ever redefined on purpose: a
ticker collected on demand joins none, so the market's past does not depend on what users asked for.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

import polars as pl

from data_pipeline.processing.market import MARKET_COLUMNS
from data_pipeline.processing.market_columns import BORROWED
from data_pipeline.storage.delta_table import StoredTable, collect_rows

_STAMP: Final[dict[str, pl.DataType]] = {"version": pl.Int64(), "written_at": pl.Datetime("us", "UTC")}
_UNIVERSE_SCHEMA: Final[dict[str, pl.DataType]] = {"universe": pl.String(), "tickers": pl.List(pl.String()), **_STAMP}
_MARKET_SCHEMA: Final[dict[str, pl.DataType]] = {"universe": pl.String(), **MARKET_COLUMNS, **_STAMP}
_MEANS: Final = ("mean_return", "mean_absolute_return")


class MarketTable:
    """Universes and their means at each data version; both tables are only ever appended to."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._universes = StoredTable(f"{uri}/universes", _UNIVERSE_SCHEMA, storage_options=storage_options)
        self._days = StoredTable(f"{uri}/market", _MARKET_SCHEMA, storage_options=storage_options)

    def universes(self, version: int | None = None) -> dict[str, frozenset[str]]:
        """Members by universe, as of ``version`` of the bars."""
        newest = _as_of(self._universes, version).group_by("universe").agg(pl.col("tickers").last())
        return {universe: frozenset(tickers) for universe, tickers in collect_rows(newest).rows()}

    def define(self, universe: str, tickers: Collection[str], version: int) -> None:
        """Let ``universe`` be these tickers from ``version`` on."""
        rows = {"universe": [universe], "tickers": [sorted(tickers)], **_stamp(version)}
        self._universes.append(pl.DataFrame(rows, schema=_UNIVERSE_SCHEMA))

    def write(self, universe: str, means: pl.DataFrame, version: int) -> None:
        """Keep the means of a universe's whole past as of ``version``; days that stay as they were are not written.

        A day that counted before and is not in ``means`` counts no more.
        """
        known = self._read(universe, version)
        gone = known.join(means, on="trading_day", how="anti").with_columns(
            *(pl.lit(None, dtype=pl.Float64).alias(name) for name in _MEANS), n_returns=pl.lit(0, dtype=pl.Int64)
        )
        changed = means.join(known, on=list(MARKET_COLUMNS), how="anti")
        rows = pl.concat([changed.select(list(MARKET_COLUMNS)), gone.select(list(MARKET_COLUMNS))])
        stamps = [pl.lit(value[0], dtype=_STAMP[name]).alias(name) for name, value in _stamp(version).items()]
        self._days.append(rows.with_columns(pl.lit(universe).alias("universe"), *stamps))

    def read(self, universe: str, version: int | None = None) -> pl.DataFrame:
        """Columns ``trading_day mean_return mean_absolute_return n_returns`` of the days that count, oldest first."""
        return self._read(universe, version).sort("trading_day")

    def _read(self, universe: str, version: int | None) -> pl.DataFrame:
        days = _as_of(self._days, version).filter(pl.col("universe") == universe)
        newest = days.group_by("trading_day").agg(pl.col(*_MEANS, "n_returns").last())
        return collect_rows(newest.filter(pl.col("mean_return").is_not_null()))


def universe_for(exchange: str, universes: Collection[str]) -> str | None:
    """The universe whose means tickers of ``exchange`` read: its own, else one that it borrows, else none.

    >>> universe_for("XFRA", ["XETR", "XNYS"]), universe_for("BVMF", ["XNYS"])
    ('XETR', None)
    """
    lender = exchange if exchange in universes else BORROWED.get(exchange)
    return lender if lender in universes else None


def _as_of(table: StoredTable, version: int | None) -> pl.LazyFrame:
    """The rows known at ``version``, newest last."""
    rows = table.scan(table.open())
    if version is not None:
        rows = rows.filter(pl.col("version") <= version)
    return rows.sort("version", "written_at")


def _stamp(version: int) -> dict[str, list[int] | list[datetime]]:
    return {"version": [version], "written_at": [datetime.now(UTC)]}
