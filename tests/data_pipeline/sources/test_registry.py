"""The ordered list of sources: who is asked next, and which error is told in the end."""

import logging
from dataclasses import dataclass, field
from datetime import date

import pytest

from data_pipeline.sources.base import (
    FetchedBars,
    NoDataError,
    PriceSourceError,
    RateLimitedError,
    SourceNetworkError,
    UnknownTickerError,
)
from data_pipeline.sources.registry import OrderedSources
from tests.data_pipeline.sources.bars import make_fetched


@dataclass
class Source:
    """A ``PriceSource`` in memory that holds some tickers or fails."""

    name: str
    holds: list[str] = field(default_factory=list)
    error: Exception | None = None
    asked: list[tuple[str, date | None, date | None]] = field(default_factory=list)

    def tickers(self) -> list[str]:
        return self.holds

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        self.asked.append((ticker, start, end))
        if self.error is not None:
            raise self.error
        if ticker not in self.holds:
            raise UnknownTickerError(ticker, self.name, "not held")
        return make_fetched(ticker, source=self.name)


def test_the_first_source_that_has_them_answers_and_is_named() -> None:
    first, second = Source("first"), Source("second", ["AAPL"])
    start, end = date(2024, 1, 1), date(2024, 2, 1)

    fetched = OrderedSources([first, second]).fetch_bars("AAPL", start, end)

    assert fetched.source == "second"
    assert first.asked == second.asked == [("AAPL", start, end)]


def test_what_was_passed_over_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Yahoo being away is a warning; that a source does not hold a ticker is its way of life."""
    unknown, away = UnknownTickerError("AAPL", "files", "not held"), SourceNetworkError("AAPL", "yahoo", "no route")
    sources = [Source("files", error=unknown), Source("yahoo", error=away), Source("sample", ["AAPL"])]

    with caplog.at_level(logging.INFO):
        fetched = OrderedSources(sources).fetch_bars("AAPL", None, None)

    assert fetched.passed_over == (unknown, away)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "fall-back to sample: AAPL from files: not held"),
        ("WARNING", "fall-back to sample: AAPL from yahoo: no route"),
    ]


def test_where_the_first_answers_nothing_was_passed_over() -> None:
    assert OrderedSources([Source("first", ["AAPL"])]).fetch_bars("AAPL", None, None).passed_over == ()


def test_later_sources_are_not_asked_in_vain() -> None:
    second = Source("second", ["AAPL"])
    assert OrderedSources([Source("first", ["AAPL"]), second]).fetch_bars("AAPL", None, None).source == "first"
    assert not second.asked


def test_the_tickers_of_all_are_held() -> None:
    assert OrderedSources([Source("a", ["MSFT", "AAPL"]), Source("b", ["IBM", "AAPL"])]).tickers() == [
        "AAPL",
        "IBM",
        "MSFT",
    ]


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([UnknownTickerError("A", "x", ""), NoDataError("A", "y", "")], 0),
        ([UnknownTickerError("A", "x", ""), RateLimitedError("A", "y", "")], 1),
        ([SourceNetworkError("A", "x", ""), RateLimitedError("A", "y", "")], 0),
        ([NoDataError("A", "x", ""), UnknownTickerError("A", "y", ""), SourceNetworkError("A", "z", "")], 2),
    ],
)
def test_when_all_fail_the_error_that_tells_most_is_raised(errors: list[PriceSourceError], told: int) -> None:
    """While one source could not say, the ticker may exist: that it is unknown to another is no answer."""
    sources = [Source(error.source, error=error) for error in errors]
    with pytest.raises(PriceSourceError) as caught:
        OrderedSources(sources).fetch_bars("A", None, None)
    assert caught.value is errors[told]


def test_a_defect_is_no_reason_to_ask_the_next() -> None:
    second = Source("second", ["AAPL"])
    with pytest.raises(ZeroDivisionError):
        OrderedSources([Source("first", error=ZeroDivisionError()), second]).fetch_bars("AAPL", None, None)
    assert not second.asked


def test_one_source_at_least_is_wanted() -> None:
    with pytest.raises(ValueError, match="at least one price source"):
        OrderedSources([])


def test_its_name_lists_them() -> None:
    assert OrderedSources([Source("yfinance"), Source("sample")]).name == "yfinance,sample"
