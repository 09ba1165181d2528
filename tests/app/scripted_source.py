"""A price source in memory, scripted per ticker."""

from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from data_pipeline.sources.base import FetchedBars, PriceBasis, UnknownTickerError
from tests.app.windows import make_bars


@dataclass
class ScriptedSource:
    """Answers with seeded bars for the tickers in ``bars``, raises for those in ``errors``; ``asked`` counts."""

    name: str = "scripted"
    live: bool = False
    bars: dict[str, int] = field(default_factory=dict)  # how many bars each ticker has
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cutoff: date = date(2013, 3, 1)

    def tickers(self) -> list[str]:
        """See ``PriceSource``."""
        return sorted(self.bars)

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:  # noqa: ARG002 (the protocol)
        """See ``PriceSource``."""
        self.asked.append(ticker)
        if ticker in self.errors:
            raise self.errors[ticker]
        if ticker not in self.bars:
            raise UnknownTickerError(ticker, self.name, "no such symbol")
        arrays = make_bars(self.bars[ticker], cutoff=self.cutoff)
        frame = pd.DataFrame(
            {name: getattr(arrays, name) for name in ("open", "high", "low", "close", "adj_close", "volume")},
            index=pd.DatetimeIndex(arrays.trading_day.astype("datetime64[s]"), name="trading_day"),
        ).assign(dividend=0.0, split=0.0)
        wanted = frame.loc[str(start) if start else None :]
        return FetchedBars(ticker, wanted, "XNYS", "USD", PriceBasis.SPLIT_ADJUSTED, self.name, live=self.live)
