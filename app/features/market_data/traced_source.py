"""A span for each asking of the price sources."""

from datetime import date

from opentelemetry.trace import SpanKind

from app.core.monitoring import spans
from data_pipeline.sources.base import FetchedBars, PriceSource


class TracedSource:
    """A ``PriceSource`` that asks another one, and has each answer recorded: who gave it, whom it passed over."""

    def __init__(self, asked: PriceSource) -> None:
        self._asked = asked
        self.name = asked.name

    def tickers(self) -> list[str]:
        """See ``PriceSource``."""
        return self._asked.tickers()

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """See ``PriceSource``."""
        with spans.span("fetch bars", SpanKind.CLIENT, **{"closecast.ticker": ticker}) as begun:
            fetched = self._asked.fetch_bars(ticker, start, end)
            begun.set_attribute("closecast.source", fetched.source)
            begun.set_attribute("closecast.bars", len(fetched.bars))
            begun.set_attribute("closecast.passed_over", [error.cause for error in fetched.passed_over])
            return fetched
