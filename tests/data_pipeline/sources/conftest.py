"""The real yfinance, its state fresh in each test, before a Yahoo of our own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_pipeline.sources import yfinance_state
from data_pipeline.sources.throttle import InMemoryBudget
from data_pipeline.sources.yfinance_collector import Backoff, YFinanceSource
from tests.data_pipeline.sources.bars import make_fetched
from tests.fake_yahoo import FakeYahoo, Listing

QUICK = Backoff(attempts=3, initial_seconds=0.01, longest_seconds=0.05, jitter_seconds=0.01)

MakeSource = Callable[..., YFinanceSource]


@pytest.fixture
def yahoo(tmp_path: Path) -> Iterator[FakeYahoo]:
    """A Yahoo that lists AAPL with four days of March 2024."""
    yfinance_state.forget_client()
    with FakeYahoo(tmp_path) as fake:
        fake.listings["AAPL"] = Listing.of(make_fetched("AAPL"))
        yield fake
    yfinance_state.forget_client()


@pytest.fixture
def make_source(yahoo: FakeYahoo, tmp_path: Path) -> Iterator[MakeSource]:
    """Sources that ask the fake Yahoo, hurry between attempts and have requests to spare."""
    sessions = []

    def make(timeout_seconds: float = 5.0, **options: object) -> YFinanceSource:
        session = yahoo.session()
        sessions.append(session)
        chosen = {"limiter": InMemoryBudget(60_000, burst=1000), "backoff": QUICK} | options
        return YFinanceSource(tmp_path / "cache", timeout_seconds, session=session, **chosen)

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def source(make_source: MakeSource) -> YFinanceSource:
    """A source with five seconds for each ticker."""
    return make_source()
