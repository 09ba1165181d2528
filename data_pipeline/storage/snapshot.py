"""The store as it was at one version: everything that is read through one snapshot fits together."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
import polars as pl
from deltalake import DeltaTable

from data_pipeline.errors import NothingStoredError, UnknownDataVersionError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray
from data_pipeline.processing.market import align, market_means
from data_pipeline.serving_window import MarketInputs, with_market
from data_pipeline.sources.base import BAR_COLUMNS, PriceBasis
from data_pipeline.storage.bar_table import (
    N_BUCKETS,
    SERIES_COLUMNS,
    between,
    content_digest,
    split_by_ticker,
    ticker_bucket,
)
from data_pipeline.storage.delta_table import StoredTable, collect_rows
from data_pipeline.storage.market_table import MarketTable, universe_for

_ARRAY_COLUMNS = ("ticker", "exchange", "trading_day", "open", "high", "low", "close", "adj_close", "volume")


@dataclass(frozen=True)
class SeriesInfo:
    """What the store holds of one ticker; ``first_day`` and ``last_day`` are those of its bars."""

    ticker: str
    exchange: str
    currency: str
    source: str
    live: bool
    price_basis: PriceBasis
    first_day: date
    last_day: date
    n_bars: int


class Snapshot:
    """The stored bars at one version, and the market as it was known then; empty where nothing was ever stored."""

    def __init__(self, bars: StoredTable, table: DeltaTable | None, market: MarketTable) -> None:
        self._bars = bars
        self._table = table
        self._market = market
        self._means_by_universe: dict[str, pl.DataFrame] = {}

    @property
    def version(self) -> int | None:
        """Number of this version; None where nothing was ever stored."""
        return None if self._table is None else self._table.version()

    @property
    def table_id(self) -> str:
        """Identity of the table, the same in all its versions."""
        if self._table is None:
            raise NothingStoredError
        return str(self._table.metadata().id)

    def series(self) -> list[SeriesInfo]:
        """What is stored of each ticker, by ticker."""
        rows = (
            self._scan()
            .group_by("ticker", *SERIES_COLUMNS)
            .agg(
                first_day=pl.col("trading_day").min(),
                last_day=pl.col("trading_day").max(),
                n_bars=pl.len(),
            )
            .sort("ticker")
        )
        return [
            SeriesInfo(**{**row, "price_basis": PriceBasis(row["price_basis"])})
            for row in self._collect(rows).to_dicts()
        ]

    def rows(self, tickers: Collection[str]) -> pl.DataFrame:
        """Every stored row of ``tickers``, all columns, in no order."""
        return self._collect(self._scan().filter(_holds(tickers)))

    def read_ticker(self, ticker: str, *, start: date | None = None, end: date | None = None) -> pd.DataFrame | None:
        """Bars with ``start <= trading_day < end``, oldest first, or None where the ticker is not stored.

        Index ``trading_day`` (``datetime64[s]``); columns ``open high low close adj_close volume dividend split source
        collected_at``.
        """
        rows = self.rows([ticker])
        if rows.is_empty():
            return None
        rows = rows.filter(between(start, end)).sort("trading_day")
        days = pd.DatetimeIndex(rows["trading_day"].to_numpy().astype("datetime64[s]"), name="trading_day")
        numbers = {name: rows[name].to_numpy() for name in BAR_COLUMNS}
        collected_at = pd.DatetimeIndex(rows["collected_at"].to_numpy(), tz="UTC")
        return pd.DataFrame({**numbers, "source": rows["source"].to_list(), "collected_at": collected_at}, index=days)

    def read_bar_arrays(self, ticker: str, *, start: date | None = None, end: date | None = None) -> BarArrays:
        """Bars with ``start <= trading_day < end``, oldest first, as arrays.

        Raises
        ------
        NothingStoredError : no bar of ``ticker`` is stored.
        """
        bars = dict(self.iterate_bar_arrays([ticker])).get(ticker)
        if bars is None:
            raise NothingStoredError(ticker)
        first = 0 if start is None else int(np.searchsorted(bars.trading_day, np.datetime64(start, "D")))
        stop = len(bars) if end is None else int(np.searchsorted(bars.trading_day, np.datetime64(end, "D")))
        return bars[first:stop]

    def iterate_bar_arrays(self, tickers: Collection[str] | None = None) -> Iterator[tuple[str, BarArrays]]:
        """Ticker and all its bars, for all stored tickers or for the stored ones of ``tickers``.

        The bars carry the market means of their exchange, if it has a universe. Only a sixteenth of the tickers is in
        memory at a time.
        """
        for bucket in range(N_BUCKETS):
            wanted = pl.col("ticker_bucket") == bucket
            if tickers is not None:
                here = [ticker for ticker in tickers if ticker_bucket(ticker) == bucket]
                if not here:
                    continue
                wanted &= pl.col("ticker").is_in(here)
            rows = self._collect(self._scan().filter(wanted).select(_ARRAY_COLUMNS))
            exchanges = dict(rows.select("ticker", "exchange").unique().rows())
            for ticker, bars in split_by_ticker(rows).items():
                yield ticker, with_market(bars, self._market_on(exchanges[ticker], bars.trading_day))

    def market_means(self, members: Collection[str]) -> pl.DataFrame:
        """Means over ``members`` of each day that counts, see `data_pipeline.processing.market`."""
        bars = self._scan().filter(_holds(members)).select("ticker", "trading_day", "adj_close")
        return market_means(bars, len(members))

    @cached_property
    def universes(self) -> dict[str, frozenset[str]]:
        """Members of each universe at this version."""
        return {} if self.version is None else self._market.universes(self.version)

    def content_sha256(self) -> str:
        """Digest of all bars; reads all of them."""
        return content_digest(self._collect(self._scan().drop("collected_at", "ticker_bucket")))

    def _market_on(self, exchange: str, days: DayArray) -> MarketInputs | None:
        universe = universe_for(exchange, self.universes)
        if universe is None:
            return None
        if universe not in self._means_by_universe:
            self._means_by_universe[universe] = self._market.read(universe, self.version)
        return align(universe, self._means_by_universe[universe], days)

    def _scan(self) -> pl.LazyFrame:
        return self._bars.scan(self._table)

    def _collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        try:
            return collect_rows(rows)
        except FileNotFoundError as error:  # the log still lists files that `vacuum` took
            if self._table is None:
                raise
            raise UnknownDataVersionError(self._table.version()) from error


def _holds(tickers: Collection[str]) -> pl.Expr:
    """Rows of ``tickers``, found by partition first."""
    buckets = sorted({ticker_bucket(ticker) for ticker in tickers})
    return pl.col("ticker_bucket").is_in(buckets) & pl.col("ticker").is_in(list(tickers))
