"""One deadline bounds everything that one ticker makes yfinance do."""

import time
from datetime import date

import pytest

from data_pipeline.sources import yfinance_state
from data_pipeline.sources.base import PriceSourceUnavailableError, SourceNetworkError
from data_pipeline.sources.throttle import InMemoryBudget
from data_pipeline.sources.yahoo_session import DeadlinePassedError, ForeignHostError
from data_pipeline.sources.yfinance_collector import Backoff
from tests.data_pipeline.sources.conftest import MakeSource
from tests.fake_yahoo import Answer, FakeYahoo, answers
from tests.fake_yahoo.server import COOKIE, CRUMB

START, END = date(2024, 3, 1), date(2024, 4, 1)
TIMEOUT, AT_MOST = 0.5, 8.0  # whoever did wait would wait for more than ten seconds


@pytest.mark.parametrize("about", [COOKIE, CRUMB, "AAPL/zone", "AAPL/prices"])
def test_an_answer_slower_than_the_deadline_is_not_waited_for(
    make_source: MakeSource, yahoo: FakeYahoo, about: str
) -> None:
    """Neither for prices nor for zone, cookie and crumb, whose time-outs yfinance fixes at 10 and 30 s."""
    yahoo.always_say(about, answers.OTHER_HTML.later(30))
    began = time.monotonic()

    with pytest.raises(SourceNetworkError, match=r"AAPL from yfinance: no whole answer within 0\.5 s"):
        make_source(TIMEOUT).fetch_bars("AAPL", START, END)

    assert time.monotonic() - began < AT_MOST


def test_an_answer_that_never_ends_is_not_waited_for(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """A byte now and then does not start the clock again."""
    yahoo.always_say("AAPL/prices", Answer(200, b"x" * 1000).dripping(0.1))
    began = time.monotonic()

    with pytest.raises(SourceNetworkError, match="no whole answer"):
        make_source(TIMEOUT).fetch_bars("AAPL", START, END)

    assert time.monotonic() - began < AT_MOST


def test_retries_and_pauses_count(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """A pause that would outlast the deadline is not begun: the cause is told instead."""
    yahoo.always_say("AAPL", answers.BAD_GATEWAY)
    patient = Backoff(attempts=1000, initial_seconds=0.1, longest_seconds=0.2, jitter_seconds=0.05)
    began = time.monotonic()

    with pytest.raises(PriceSourceUnavailableError, match="HTTP 502"):
        make_source(TIMEOUT, backoff=patient).fetch_bars("AAPL", START, END)

    assert time.monotonic() - began < AT_MOST


def test_slow_answers_in_time_are_good(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """The deadline is for all together, and not shorter than told."""
    yahoo.say("AAPL/zone", yahoo.listings["AAPL"].answer({"range": "1d"}).later(0.3))
    assert len(make_source(3.0).fetch_bars("AAPL", START, END).bars) == 4


def test_another_tickers_turn_is_not_waited_for_beyond_it(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """yfinance serves one at a time; that somebody else takes long is no failure of Yahoo."""
    began = time.monotonic()
    with (
        yfinance_state.ONE_AT_A_TIME,
        pytest.raises(SourceNetworkError, match="another ticker took all the time"),
    ):
        make_source(TIMEOUT).fetch_bars("AAPL", START, END)
    assert time.monotonic() - began < AT_MOST
    assert not yahoo.requests


def test_the_wait_for_a_token_comes_before_the_clock_starts(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """Politeness is not held against Yahoo."""
    spent = InMemoryBudget(100, burst=1)
    spent.acquire(0)
    began = time.monotonic()

    fetched = make_source(TIMEOUT, limiter=spent, queue_seconds=2.0).fetch_bars("AAPL", START, END)

    assert len(fetched.bars) == 4
    assert time.monotonic() - began > TIMEOUT


def test_a_session_sends_nothing_without_a_deadline(yahoo: FakeYahoo) -> None:
    """Nor after it."""
    with yahoo.session() as session:
        with pytest.raises(DeadlinePassedError):
            session.get("https://query2.finance.yahoo.com/")
        with session.converse(time.monotonic() - 1), pytest.raises(DeadlinePassedError):
            session.get("https://query2.finance.yahoo.com/")
    assert not yahoo.requests


def test_a_session_stays_with_yahoo(yahoo: FakeYahoo) -> None:
    """Whatever a symbol makes of the address."""
    with yahoo.session() as session, session.converse(time.monotonic() + 5):
        for url in ("https://example.com/", "https://query2.finance.yahoo.com@example.com/", "file:///etc/passwd"):
            with pytest.raises(ForeignHostError):
                session.get(url)
    assert not yahoo.requests
