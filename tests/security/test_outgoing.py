"""V15.3.2: who asks Yahoo is led nowhere else by an answer."""

from datetime import date

import pytest

from data_pipeline.sources.base import PriceSourceError
from data_pipeline.sources.yahoo_session import HOSTS
from tests.data_pipeline.sources.bars import make_fetched
from tests.data_pipeline.sources.conftest import MakeSource, make_source, yahoo
from tests.fake_yahoo import Answer, FakeYahoo, Listing

__all__ = ["make_source", "yahoo"]

START, END = date(2024, 3, 4), date(2024, 3, 8)
CHART = "https://query2.finance.yahoo.com/v8/finance/chart"


def moved(to: str, status: int = 302) -> Answer:
    """An answer that sends whoever asked somewhere else."""
    return Answer(status, b"", headers={"location": to})


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "https://169.254.169.254/latest/meta-data/",
    "https://query2.finance.yahoo.com@evil.example/",
    "http://query2.finance.yahoo.com/",
    "file:///etc/passwd",
)


@pytest.mark.parametrize(
    ("to", "status"), [*((to, 302) for to in ELSEWHERE), *((ELSEWHERE[0], status) for status in (301, 303, 307, 308))]
)
def test_v15_3_2_a_redirect_to_another_host_is_not_followed(
    to: str, status: int, yahoo: FakeYahoo, make_source: MakeSource
) -> None:
    yahoo.always_say("AAPL", moved(to, status))

    with pytest.raises(PriceSourceError):
        make_source(timeout_seconds=2.0).fetch_bars("AAPL", START, END)

    assert yahoo.hosts
    assert yahoo.hosts <= HOSTS


def test_v15_3_2_a_redirect_without_end_is_given_up(yahoo: FakeYahoo, make_source: MakeSource) -> None:
    yahoo.always_say("AAPL", moved(f"{CHART}/AAPL"))

    with pytest.raises(PriceSourceError):
        make_source(timeout_seconds=2.0).fetch_bars("AAPL", START, END)

    assert len(yahoo.requests) < 100


def test_a_redirect_of_yahoo_s_to_itself_is_followed(yahoo: FakeYahoo, make_source: MakeSource) -> None:
    """Its pages that ask for consent work so."""
    yahoo.listings["META"] = Listing.of(make_fetched("META"))
    yahoo.always_say(
        "FB", moved("/v8/finance/chart/META?period1=1709510400&period2=1709856000&interval=1d&events=div,splits")
    )

    bars = make_source().fetch_bars("FB", START, END).bars

    assert len(bars) == 4
