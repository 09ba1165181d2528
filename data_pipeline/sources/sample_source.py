"""The bars that come with the project: five US shares, 2000 to 2013, public domain."""

from dataclasses import replace
from datetime import date
from importlib.resources import as_file, files

import numpy as np
import pandas as pd

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.sources.base import FetchedBars, PriceBasis
from data_pipeline.sources.file_source import FileSource

SAMPLE_FILE = "us_public_domain_2000_2013.parquet"


class SampleSource:
    """A ``PriceSource`` on the packaged sample; ``sample/PROVENANCE.md`` tells where it comes from.

    Prices are as traded (``PriceBasis.RAW``). The file names neither dividends nor splits; both are read off
    ``adj_close``, which WIKI computed from them.
    """

    name = "sample"

    def __init__(self) -> None:
        with as_file(files("data_pipeline.sources") / "sample" / SAMPLE_FILE) as path:
            self._source = FileSource(path, price_basis=PriceBasis.RAW, name=self.name)

    def tickers(self) -> list[str]:
        """AAPL, FB, GOOG, IBM and MSFT."""
        return self._source.tickers()

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """Bars with ``start <= trading_day < end``, dividends and splits included.

        Raises
        ------
        UnknownTickerError : ``ticker`` is none of the five.
        """
        whole = self._source.fetch_bars(ticker, None, None)
        bars = with_implied_actions(whole.bars)
        days = bars.index
        inside = (days >= pd.Timestamp(start or date.min)) & (days < pd.Timestamp(end or date.max))
        return replace(whole, bars=bars[inside])


def with_implied_actions(bars: pd.DataFrame) -> pd.DataFrame:
    """Fill ``dividend`` (to the cent) and ``split`` from WIKI's adjustment, which is exact."""
    splits, dividends = implied_actions(bars["close"].to_numpy(), bars["adj_close"].to_numpy())
    return bars.assign(dividend=dividends, split=splits)


def implied_actions(close: FloatArray, adj_close: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Splits and dividends that turn raw closes into WIKI's adjusted ones.

    Parameters
    ----------
    close, adj_close : shape ``(n_bars,)``, oldest first.

    Returns
    -------
    splits : shape ``(n_bars,)``, new shares per old one on the day of a split, else 0.
    dividends : shape ``(n_bars,)``, cash per share on the ex-day, else 0; rounded to cents.

    Examples
    --------
    >>> splits, dividends = implied_actions(np.array([10.0, 5.0, 4.0]), np.array([4.5, 4.5, 4.0]))
    >>> splits.tolist(), dividends.tolist()
    ([0.0, 2.0, 0.0], [0.0, 0.0, 0.44])
    """
    growth: FloatArray = np.ones(len(close))
    growth[1:] = (adj_close[1:] / adj_close[:-1]) / (close[1:] / close[:-1])
    splits: FloatArray = np.where(growth > 1.5, np.rint(growth), 0.0)
    cents: FloatArray = np.rint((growth / np.maximum(splits, 1.0) - 1.0) * close * 100)
    return splits, np.abs(cents) / 100  # abs: rounding leaves -0.0, and WIKI has no negative dividend
