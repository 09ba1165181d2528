"""Bad answers: each becomes the error that it stands for, whatever yfinance calls it, and a retry really asks."""

import logging
from datetime import date
from pathlib import Path

import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.sources.base import (
    BeforeListingError,
    CircuitOpenError,
    MalformedAnswerError,
    NoDataError,
    PriceSourceError,
    PriceSourceUnavailableError,
    RateLimitedError,
    SourceNetworkError,
    UnknownTickerError,
)
from data_pipeline.sources.throttle import InMemoryBudget, InMemoryCircuit
from data_pipeline.sources.yfinance_collector import YFinanceSource
from tests.data_pipeline.sources.bars import make_bars, make_fetched
from tests.data_pipeline.sources.conftest import MakeSource
from tests.fake_yahoo import Answer, FakeYahoo, Listing, answers
from tests.fake_yahoo.server import COOKIE, CRUMB, EVERYTHING

START, END = date(2024, 3, 1), date(2024, 4, 1)

HALF_A_DOCUMENT = Answer.of_json({"chart": {"result": [{"meta": {"currency": "USD"}}]}}).body[:40]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "second", "third"])
def test_an_unknown_ticker_is_unknown(source: YFinanceSource, yahoo: FakeYahoo, place: int) -> None:
    """By Yahoo's own reason, the first two of a process included, and without a search elsewhere for its zone."""
    for number in range(place):
        with pytest.raises(UnknownTickerError):
            source.fetch_bars(f"NOPE{number}", START, END)
    yahoo.requests.clear()

    with pytest.raises(UnknownTickerError, match="NOPE from yfinance: No data found, symbol may be delisted"):
        source.fetch_bars("NOPE", START, END)

    assert len(yahoo.requests) <= 6
    assert {request.host for request in yahoo.requests} <= {
        "query1.finance.yahoo.com",
        "query2.finance.yahoo.com",
        "guce.yahoo.com",
        "fc.yahoo.com",
    }
    assert not [request for request in yahoo.requests if "quote" in request.path or "fundamentals" in request.path]


def test_an_unknown_ticker_is_not_asked_for_again(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """One attempt: yfinance itself repeats the request once."""
    with pytest.raises(UnknownTickerError):
        source.fetch_bars("NOPE", START, END)
    assert len(yahoo.asked("zone")) == 2


def test_an_unknown_ticker_leaves_the_next_one_alone(source: YFinanceSource) -> None:
    """Cookie strategy and crumb, which yfinance changed on the error, are forgotten."""
    with pytest.raises(UnknownTickerError):
        source.fetch_bars("NOPE", START, END)
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4


def test_a_404_that_is_not_yahoos_own_is_not_believed(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Only its reason makes a ticker unknown; a page from somewhere in between does not."""
    yahoo.always_say("AAPL", Answer(404, b"<html>no such page</html>", answers.HTML_TYPE))
    with pytest.raises(MalformedAnswerError, match="HTTP 404: <html>no such page"):
        source.fetch_bars("AAPL", START, END)


def test_a_ticker_that_goes_unknown_later_is_unknown(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """With its zone known from before, the 404 comes on the prices."""
    source.fetch_bars("AAPL", START, END)
    del yahoo.listings["AAPL"]
    with pytest.raises(UnknownTickerError):
        source.fetch_bars("AAPL", START, END)


def test_a_delisted_share_has_no_data(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """HTTP 200, no currency, no rows."""
    yahoo.listings["CAPIO.ST"] = Listing("CAPIO.ST", make_bars(), currency=None)
    with pytest.raises(NoDataError, match=r"CAPIO\.ST from yfinance: no currency and no prices"):
        source.fetch_bars("CAPIO.ST", START, END)


def test_a_range_before_the_first_trade_is_before_listing(source: YFinanceSource) -> None:
    """Yahoo answers 400; the caller can ask for a later end."""
    with pytest.raises(BeforeListingError, match="Data doesn't exist for startDate"):
        source.fetch_bars("AAPL", date(2020, 1, 1), date(2020, 2, 1))


def test_a_range_up_to_today_cannot_be_before_listing(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """The same 400 also comes for a range after the last trade: no later end would help then."""
    yahoo.always_say("AAPL/prices", answers.before_listing(0, 1))
    source = make_source(today=lambda: date(2024, 3, 8))
    with pytest.raises(NoDataError):
        source.fetch_bars("AAPL", START, date(2024, 3, 9))
    with pytest.raises(NoDataError):
        source.fetch_bars("AAPL", START, None)
    with pytest.raises(BeforeListingError):
        source.fetch_bars("AAPL", START, date(2024, 3, 8))


BROKEN = {
    "a refusal": (answers.TOO_MANY_REQUESTS, RateLimitedError, "HTTP 429"),
    "a bad gateway": (answers.BAD_GATEWAY, PriceSourceUnavailableError, "HTTP 502"),
    "no access": (Answer(401, b"{}"), PriceSourceUnavailableError, "HTTP 401"),
    "maintenance": (answers.MAINTENANCE, MalformedAnswerError, "Will be right back"),
    "HTML": (answers.OTHER_HTML, MalformedAnswerError, "Sign in to continue"),
    "a null result": (answers.RESULT_NULL, MalformedAnswerError, "a chart without a result"),
    "an empty result": (answers.RESULT_EMPTY, MalformedAnswerError, "a chart without a result"),
    "an empty body": (answers.NO_BODY, MalformedAnswerError, "nothing"),
    "half a document": (answers.NO_BODY.with_body(HALF_A_DOCUMENT), MalformedAnswerError, "no JSON of a chart"),
    "a list": (Answer.of_json([1, 2]), MalformedAnswerError, "no JSON of a chart"),
    "another error": (
        Answer.of_chart_error(422, "Unprocessable Entity", "1h data not available"),
        MalformedAnswerError,
        "HTTP 422: 1h data not available",
    ),
    "a body that breaks off": (answers.OTHER_HTML.cut(20), MalformedAnswerError, "the answer broke off"),
    "a connection that breaks": (answers.HUNG_UP, SourceNetworkError, "not reached"),
}


@pytest.mark.parametrize("about", ["zone", "prices"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_answer_is_never_called_delisted(
    source: YFinanceSource, yahoo: FakeYahoo, case: str, about: str
) -> None:
    """It may pass: each class says so, names what came, and the ticker is asked for again before giving up."""
    answer, error_class, said = BROKEN[case]
    yahoo.always_say(f"AAPL/{about}", answer)

    with pytest.raises(PriceSourceUnavailableError, match=said) as caught:
        source.fetch_bars("AAPL", START, END)

    assert type(caught.value) is error_class
    assert "\n" not in str(caught.value)
    assert len(yahoo.asked(about)) >= 3


@pytest.mark.parametrize("about", ["zone", "prices"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_retry_after_a_broken_answer_really_asks(
    source: YFinanceSource, yahoo: FakeYahoo, case: str, about: str
) -> None:
    """yfinance keeps bad answers; the second attempt must not be answered from there."""
    answer, _, _ = BROKEN[case]
    # yfinance repeats at once what came with an error status: the second one is part of the same attempt.
    yahoo.say(f"AAPL/{about}", *[answer] * (2 if answer.status >= 400 else 1))
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4


def test_a_retry_begins_with_a_new_client(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Cookie and crumb of a failed attempt may be what was wrong: the second attempt asks for a crumb of its own."""
    yahoo.say("AAPL/zone", *[answers.BAD_GATEWAY] * 2)
    source.fetch_bars("AAPL", START, END)
    asked = [request.about for request in yahoo.asked("zone", CRUMB)]
    assert asked == [CRUMB, "zone", CRUMB, "zone", CRUMB, "zone"]


def test_a_wave_of_429_over_everything_passes(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """Cookie, crumb and chart are refused alike; when the wave is over the same call succeeds."""
    yahoo.say(EVERYTHING, *[answers.TOO_MANY_REQUESTS] * 9)
    assert len(make_source().fetch_bars("AAPL", START, END).bars) == 4


def test_a_refused_crumb_is_not_kept(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """The chart needs none; "Edge: Too Many Requests" does not become the crumb of later requests."""
    yahoo.say(CRUMB, *[answers.TOO_MANY_REQUESTS] * 2)
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4
    assert "Edge" not in str([request.query for request in yahoo.asked("prices")[1:]])


def test_a_refusal_says_when_to_come_back(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """By Yahoo's header, else a quarter of an hour: blocks are known to last that long."""
    yahoo.always_say("AAPL", answers.TOO_MANY_REQUESTS)
    with pytest.raises(RateLimitedError) as caught:
        source.fetch_bars("AAPL", START, END)
    assert caught.value.retry_after_seconds == 900

    yahoo.always_say("AAPL", Answer(429, b"", "text/plain", {"retry-after": "37"}))
    with pytest.raises(RateLimitedError) as caught:
        source.fetch_bars("AAPL", START, END)
    assert caught.value.retry_after_seconds == 37


def test_rows_of_months_are_refused(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Yahoo widens the granularity of some ranges without being asked."""
    document = yahoo.listings["AAPL"].answer({"range": "max"}).body.replace(b'"1d", "range"', b'"1mo", "range"')
    yahoo.always_say("AAPL/prices", answers.NO_BODY.with_body(document))
    with pytest.raises(MalformedAnswerError, match="rows of 1mo where days were asked"):
        source.fetch_bars("AAPL", START, END)


def test_rows_without_adjusted_closes_are_refused(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """yfinance would take the plain closes for adjusted ones."""
    document = yahoo.listings["AAPL"].answer({"range": "max"}).body.replace(b'"adjclose": [{', b'"other": [{')
    yahoo.always_say("AAPL/prices", answers.NO_BODY.with_body(document))
    with pytest.raises(MalformedAnswerError, match="days without adjusted closes"):
        source.fetch_bars("AAPL", START, END)


def test_rows_that_yfinance_cannot_read_are_malformed(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Prices as text, in an answer that looks whole."""
    document = yahoo.listings["AAPL"].answer({"range": "max"}).body.replace(b'"close": [100.0', b'"close": ["n/a"')
    yahoo.always_say("AAPL/prices", answers.NO_BODY.with_body(document))
    with pytest.raises(MalformedAnswerError, match="yfinance could not read it: ValueError"):
        source.fetch_bars("AAPL", START, END)


def test_an_index_of_an_unknown_exchange_has_no_data_for_us(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Without its calendar nothing can be forecast."""
    yahoo.listings["^NOPE"] = Listing("^NOPE", make_bars(), yahoo_exchange="XXX")
    with pytest.raises(NoDataError, match="no exchange known"):
        source.fetch_bars("^NOPE", START, END)


def test_an_isin_is_not_looked_up(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """yfinance would search for it on other pages."""
    with pytest.raises(UnknownTickerError, match="an ISIN"):
        source.fetch_bars("US0378331005", START, END)
    assert not yahoo.requests


def test_nobody_there_is_a_network_error(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """Connection refused."""
    source = make_source()
    source._session.proxies = {"https": "http://127.0.0.1:9"}
    with pytest.raises(SourceNetworkError, match="AAPL from yfinance: not reached"):
        source.fetch_bars("AAPL", START, END)


def test_only_the_cookie_hosts_trouble_is_survived(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """The chart needs no cookie."""
    yahoo.always_say(COOKIE, answers.BAD_GATEWAY)
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4


def test_the_circuit_opens_and_nothing_more_is_sent(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """Five failures in a row, over tickers; then not even a good ticker is asked for."""
    source = make_source()
    yahoo.always_say(EVERYTHING, answers.BAD_GATEWAY)
    for ticker in ("AAPL", "MSFT"):
        with pytest.raises(PriceSourceUnavailableError):
            source.fetch_bars(ticker, START, END)
    yahoo.requests.clear()

    with pytest.raises(CircuitOpenError, match="not asked for") as caught:
        source.fetch_bars("AAPL", START, END)

    assert 0 < caught.value.retry_after_seconds <= 60
    assert not yahoo.requests


def test_the_circuit_closes_again(make_source: MakeSource) -> None:
    """Once its time has passed one question is let through, and a good answer closes it."""
    circuit = InMemoryCircuit()
    circuit.set_state("opened", opened_at=0.0)
    assert len(make_source(breaker=circuit).fetch_bars("AAPL", START, END).bars) == 4
    assert circuit.read().state == "closed"


def test_unknown_tickers_do_not_open_the_circuit(make_source: MakeSource) -> None:
    """They show that Yahoo is well."""
    circuit = InMemoryCircuit()
    source = make_source(breaker=circuit)
    for number in range(6):
        with pytest.raises(UnknownTickerError):
            source.fetch_bars(f"NOPE{number}", START, END)
    assert circuit.read().state == "closed"


def test_our_own_limit_is_kept(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """Every request counts, the look-ups of cookie, crumb and zone too; when it is spent nothing is sent."""
    source = make_source(limiter=InMemoryBudget(6, burst=4), queue_seconds=0.0)
    source.fetch_bars("AAPL", START, END)  # four requests
    yahoo.requests.clear()

    with pytest.raises(RateLimitedError, match="our own limit") as caught:
        source.fetch_bars("AAPL", START, END)

    assert 0 < caught.value.retry_after_seconds <= 10
    assert not yahoo.requests


def test_every_failure_is_one_of_the_sources_errors(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """So that the next source is asked, and one bad ticker does not stop the rest."""
    for error_class in (RateLimitedError, SourceNetworkError, UnknownTickerError, NoDataError, CircuitOpenError):
        assert issubclass(error_class, PriceSourceError)


def test_a_cache_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """In one line, when the source is made."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"cache folder .*file/yfinance cannot be made: Not a directory"):
        YFinanceSource(tmp_path / "file")


def test_warnings_of_pandas_inside_yfinance_are_not_shown(
    source: YFinanceSource, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does yfinance log errors of its own beside ours."""
    with caplog.at_level(logging.ERROR, "yfinance"), pytest.raises(UnknownTickerError):
        source.fetch_bars("NOPE", START, END)
    assert not recwarn.list
    assert not caplog.records


def test_made_bars_are_what_the_fake_serves(yahoo: FakeYahoo) -> None:
    """The builder and the fake agree on the ticker."""
    assert yahoo.listings["AAPL"].ticker == make_fetched().ticker


def test_a_retry_that_our_limit_forbids_is_not_sent(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """What went wrong is told then, not that the limit is spent."""
    yahoo.always_say("AAPL", answers.BAD_GATEWAY)
    with pytest.raises(PriceSourceUnavailableError, match="HTTP 502"):
        make_source(limiter=InMemoryBudget(6, burst=1)).fetch_bars("AAPL", START, END)
    assert len(yahoo.asked("zone")) == 2


def test_another_host_is_not_asked(source: YFinanceSource, yahoo: FakeYahoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a later yfinance want to."""
    monkeypatch.setattr("yfinance.base._BASE_URL_", "https://example.com")
    with pytest.raises(MalformedAnswerError, match=r"yfinance wanted to ask example\.com"):
        source.fetch_bars("AAPL", START, END)
    assert "example.com" not in {request.host for request in yahoo.requests}


def test_a_failure_before_the_chart_was_asked_for_is_told(
    source: YFinanceSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no answer to judge it by."""

    def fail(*_: object) -> None:
        raise ValueError("no crumb")

    monkeypatch.setattr("yfinance.data.YfData._get_crumb_basic", fail)
    with pytest.raises(MalformedAnswerError, match="yfinance did not ask for the chart") as caught:
        source.fetch_bars("AAPL", START, END)
    assert str(caught.value.__cause__) == "no crumb"
