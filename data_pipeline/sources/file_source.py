"""Bars from files that the operator has: one CSV or Parquet file, or a folder of them."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl

from data_pipeline.sources.bar_file import SUFFIXES, BarFile, read_bar_file
from data_pipeline.sources.base import BAR_COLUMNS, FetchedBars, PriceBasis, UnknownTickerError, UnusableFileError
from data_pipeline.sources.exchanges import UnknownExchangeError, currency_of, exchange_of


class FileSource:
    """A ``PriceSource`` on a file or on all CSV and Parquet files of a folder (not of its subfolders).

    Files are read once, when first asked; ``read_bar_file`` tells which columns are understood. What a file lacks is
    told as is: without ``adj_close`` it equals ``close``, without ``dividend`` or ``split`` they are 0.
    Exchange and currency come from the ticker's suffix. A ticker spread over several files is joined when their days
    do not overlap and their columns and price basis agree; otherwise it is refused, since two sources differ in the
    base that they adjusted to.

    Parameters
    ----------
    path : file or folder.
    price_basis : of every file; None to infer it per file.

    Raises
    ------
    UnusableFileError : nothing at ``path``, or a folder without such files.
    """

    def __init__(self, path: Path | str, *, price_basis: PriceBasis | None = None, name: str = "files") -> None:
        self.name = name
        self._price_basis = price_basis
        self._paths = _bar_paths(Path(path))

    def tickers(self) -> list[str]:
        """Every ticker in the files, sorted."""
        return sorted(frozenset().union(*(file.tickers for file in self._files)))

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """Bars with ``start <= trading_day < end``, as the files hold them: duplicate days and nulls included.

        Raises
        ------
        UnknownTickerError : no file holds ``ticker``, or its suffix names no exchange.
        UnusableFileError : a file cannot be read, or several files contradict each other about ``ticker``.
        """
        holders = [file for file in self._files if ticker in file.tickers]
        if not holders:
            raise UnknownTickerError(ticker, self.name, f"no such ticker among the {len(self.tickers())} in the files")
        try:
            exchange = exchange_of(ticker)
        except UnknownExchangeError as error:
            raise UnknownTickerError(ticker, self.name, str(error)) from error
        bars = _join(ticker, holders)
        return FetchedBars(
            ticker=ticker,
            bars=as_bar_frame(_between(bars, start, end)),
            exchange=exchange,
            currency=currency_of(exchange),
            price_basis=holders[0].price_basis,
            source=self.name,
            live=False,
        )

    @cached_property
    def _files(self) -> list[BarFile]:
        return [read_bar_file(path, self._price_basis) for path in self._paths]


def as_bar_frame(bars: pl.DataFrame) -> pd.DataFrame:
    """Polars bars of one ticker as the frame that ``FetchedBars`` promises; absent columns as ``FileSource`` tells."""
    values = {
        "adj_close": bars["close"],
        "dividend": pl.repeat(0.0, bars.height, eager=True),
        "split": pl.repeat(0.0, bars.height, eager=True),
        **{name: bars[name] for name in bars.columns},
    }
    days = pd.DatetimeIndex(bars["date"].to_numpy().astype("datetime64[s]"), name="trading_day")
    return pd.DataFrame({name: values[name].to_numpy() for name in BAR_COLUMNS}, index=days)


def _bar_paths(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise UnusableFileError(path, "the folder holds no .csv and no .parquet file")
        return found
    if not path.is_file():
        raise UnusableFileError(path, "no such file or folder")
    if path.suffix.lower() not in SUFFIXES:
        raise UnusableFileError(path, "only .csv and .parquet are understood")
    return [path]


def _join(ticker: str, holders: Sequence[BarFile]) -> pl.DataFrame:
    parts = sorted((file.bars.filter(pl.col("ticker") == ticker) for file in holders), key=lambda part: part["date"][0])
    alike = len({(file.price_basis, *file.bars.columns) for file in holders}) == 1
    apart = all(before["date"][-1] < after["date"][0] for before, after in pairwise(parts))
    if not (alike and apart):
        names = ", ".join(file.path.name for file in holders)
        raise UnusableFileError(
            holders[0].path.parent, f"{ticker} is in {names}, which cannot be joined: name one file"
        )
    return pl.concat(parts)


def _between(bars: pl.DataFrame, start: date | None, end: date | None) -> pl.DataFrame:
    if start is not None:
        bars = bars.filter(pl.col("date") >= start)
    if end is not None:
        bars = bars.filter(pl.col("date") < end)
    return bars
