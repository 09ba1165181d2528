"""Bars for a backtest straight from files, checked like those that are stored."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.bars import as_bar_arrays, check_bars
from data_pipeline.processing.market import with_means_of
from data_pipeline.sources.base import UnknownTickerError
from data_pipeline.sources.exchanges import exchange_of
from data_pipeline.sources.file_source import FileSource

FINAL_AFTER = timedelta(hours=1)
FEWEST_MEMBERS = 20  # shares that make a market: the mean of a handful is their own news


def read_file_bars(path: Path, tickers: Collection[str] = (), members: Collection[str] = ()) -> dict[str, BarArrays]:
    """Bars of all tickers of a file or folder, or of ``tickers``, each with the market of its exchange in the file.

    Parameters
    ----------
    members : the tickers whose means are the market, of those in the file; empty: all. An exchange with fewer than 20
        of them has no market, which a network knows how to do without.

    Raises
    ------
    PriceSourceError : the file cannot be used, or lacks one of ``tickers``.
    """
    source, now = FileSource(path), datetime.now(UTC)
    held = source.tickers()
    if absent := sorted(set(tickers) - set(held)):
        raise UnknownTickerError(absent[0], source.name, f"no such ticker among the {len(held)} in the files")
    fetched = (source.fetch_bars(ticker, None, None) for ticker in held)
    checked = {one.ticker: check_bars(one, now=now, final_after=FINAL_AFTER).bars for one in fetched}
    every = with_markets({name: as_bar_arrays(bars) for name, bars in checked.items() if len(bars)}, members)
    return {ticker: bars for ticker, bars in every.items() if not tickers or ticker in tickers}


def with_markets(bars_by_ticker: Mapping[str, BarArrays], members: Collection[str] = ()) -> dict[str, BarArrays]:
    """The same bars with the means over their own exchange's tickers, or those of them that ``members`` names."""
    by_exchange: dict[str, dict[str, BarArrays]] = {}
    for ticker, bars in sorted(bars_by_ticker.items()):
        by_exchange.setdefault(exchange_of(ticker), {})[ticker] = bars
    found: dict[str, BarArrays] = {}
    for of_exchange in by_exchange.values():
        counted = [ticker for ticker in of_exchange if not members or ticker in members]
        found |= with_means_of(counted, of_exchange) if len(counted) >= FEWEST_MEMBERS else of_exchange
    return dict(sorted(found.items()))
