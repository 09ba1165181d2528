"""Good answers: what Yahoo serves arrives as our columns, the exchange's days and the right price basis."""

from dataclasses import replace
from datetime import date, time
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from data_pipeline.sources.base import BAR_COLUMNS, FetchedBars, PriceBasis
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.sources.yfinance_collector import YFinanceSource
from tests.data_pipeline.sources.bars import DAYS, make_bars, make_fetched
from tests.fake_yahoo import FakeYahoo, Listing

START, END = date(2024, 3, 1), date(2024, 4, 1)


def days_of(fetched: FetchedBars) -> list[str]:
    return [str(day.date()) for day in fetched.bars.index]


def test_bars_arrive_as_yahoo_has_them(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Every column, unrounded, with what the answer says about the symbol."""
    fetched = source.fetch_bars("AAPL", START, END)

    assert days_of(fetched) == list(DAYS)
    assert tuple(fetched.bars.columns) == BAR_COLUMNS
    assert fetched.bars.index.dtype == "datetime64[s]"
    assert fetched.bars.index.name == "trading_day"
    pd.testing.assert_frame_equal(fetched.bars, make_bars())
    assert (fetched.exchange, fetched.currency, fetched.source) == ("XNYS", "USD", "yfinance")
    assert fetched.live
    assert fetched.price_basis == PriceBasis.SPLIT_ADJUSTED


def test_every_option_that_matters_is_asked_for(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """The range is exact, in the exchange's zone, by day, with events and without pre-market trades."""
    source.fetch_bars("AAPL", date(2024, 3, 5), date(2024, 3, 7))

    query = yahoo.asked("prices")[-1].query
    assert query["period1"] == str(int(pd.Timestamp("2024-03-05", tz="America/New_York").timestamp()))
    assert query["period2"] == str(int(pd.Timestamp("2024-03-07", tz="America/New_York").timestamp()))
    assert (query["interval"], query["events"], query["includePrePost"]) == ("1d", "div,splits,capitalGains", "false")


def test_the_end_is_exclusive(source: YFinanceSource) -> None:
    """``start <= trading_day < end``."""
    assert days_of(source.fetch_bars("AAPL", date(2024, 3, 5), date(2024, 3, 7))) == ["2024-03-05", "2024-03-06"]


def test_without_a_range_everything_comes(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """No start means the first bar; yfinance's own default would be a month."""
    assert days_of(source.fetch_bars("AAPL", None, None)) == list(DAYS)
    assert int(yahoo.asked("prices")[-1].query["period1"]) < 0


def test_an_end_alone_reaches_back_to_the_first_bar(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """yfinance would begin a month before the end."""
    yahoo.listings["AAPL"] = Listing.of(make_fetched(bars=make_bars(("2023-01-03", *DAYS), (90.0, *[100.0] * 4))))
    assert days_of(source.fetch_bars("AAPL", None, date(2024, 3, 5))) == ["2023-01-03", "2024-03-04"]


def test_splits_and_dividends_come_on_their_days(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """A split as new shares per old one, a dividend as cash per share, 0 on all other days."""
    bars = make_bars(dividend={"2024-03-05": 0.24}, split={"2024-03-07": 4.0})
    yahoo.listings["AAPL"] = Listing.of(make_fetched(bars=bars))

    fetched = source.fetch_bars("AAPL", START, END)

    assert fetched.bars["dividend"].tolist() == [0.0, 0.24, 0.0, 0.0]
    assert fetched.bars["split"].tolist() == [0.0, 0.0, 0.0, 4.0]


def test_capital_gains_of_a_fund_are_cash_too(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """They are added to the dividend of their day."""
    bars = make_bars(dividend={"2024-03-05": 0.24})
    gains = {date(2024, 3, 5): 1.0, date(2024, 3, 6): 0.5}
    yahoo.listings["VFINX"] = replace(
        Listing.of(make_fetched("VFINX", bars)), instrument="MUTUALFUND", capital_gains=gains
    )
    assert source.fetch_bars("VFINX", START, END).bars["dividend"].tolist() == [0.0, 1.24, 0.5, 0.0]


def test_thirteen_years_of_apple_hold_together(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Real bars through the whole wire: close has no split jump, adj_close gives the sample's returns."""
    sample = SampleSource().fetch_bars("AAPL", None, None)
    yahoo.listings["AAPL"] = Listing.of(sample)

    bars = source.fetch_bars("AAPL", None, None).bars

    assert len(bars) == 3270
    assert bars.loc["2000-06-20", "close"] == pytest.approx(101.25 / 4)  # before two 2:1 splits
    assert bars["split"][bars["split"] > 0].to_dict() == {
        pd.Timestamp("2000-06-21"): 2.0,
        pd.Timestamp("2005-02-28"): 2.0,
    }
    np.testing.assert_array_equal(bars["adj_close"], sample.bars["adj_close"])


@pytest.mark.parametrize(
    ("ticker", "zone", "opens_at", "code", "exchange", "currency"),
    [
        ("PETR4.SA", "America/Sao_Paulo", time(10), "SAO", "BVMF", "BRL"),
        ("BHP.AX", "Australia/Sydney", time(10), "ASX", "XASX", "AUD"),  # opens on the day before, by UTC
        ("OCDO.L", "Europe/London", time(8), "LSE", "XLON", "GBp"),
        ("BTC-USD", "UTC", time(0), "CCC", "24/7", "USD"),
        ("EURUSD=X", "Europe/London", time(0), "CCY", "24/5", "USD"),
    ],
)
def test_days_are_the_exchanges_own(
    source: YFinanceSource,
    yahoo: FakeYahoo,
    ticker: str,
    zone: str,
    opens_at: time,
    code: str,
    exchange: str,
    currency: str,
) -> None:
    """Wherever the exchange lies; and prices stay in the unit that it quotes, pence included."""
    days = ("2024-03-28", "2024-03-29", "2024-04-01", "2024-04-08")  # over the change to and from summer time
    bars = make_bars(days)
    yahoo.listings[ticker] = Listing(ticker, bars, currency, code, zone, opens_at)

    fetched = source.fetch_bars(ticker, date(2024, 3, 1), date(2024, 5, 1))

    assert days_of(fetched) == list(days)
    assert (fetched.exchange, fetched.currency) == (exchange, currency)
    assert fetched.bars["close"].tolist() == bars["close"].tolist()


def test_the_running_session_is_the_last_row(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Stamped with the trade's time instead of the opening, it is still that day's row: the calendar drops it."""
    yahoo.listings["AAPL"] = replace(yahoo.listings["AAPL"], running_at=time(15, 7, 31))
    assert days_of(source.fetch_bars("AAPL", START, END)) == list(DAYS)


def test_a_running_session_outside_the_range_is_left_out(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Yahoo appends it to ranges that ended before."""
    yahoo.listings["AAPL"] = replace(yahoo.listings["AAPL"], appends_newest=True)
    assert days_of(source.fetch_bars("AAPL", START, date(2024, 3, 6))) == ["2024-03-04", "2024-03-05"]


def test_days_outside_the_range_are_left_out(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Whatever Yahoo sends beside what was asked for."""
    yahoo.always_say("AAPL/prices", yahoo.listings["AAPL"].answer({"range": "max"}))
    assert days_of(source.fetch_bars("AAPL", date(2024, 3, 5), date(2024, 3, 7))) == ["2024-03-05", "2024-03-06"]
    assert days_of(source.fetch_bars("AAPL", date(2024, 3, 5), date(2024, 3, 6))) == ["2024-03-05"]


def test_rows_without_prices_stay_as_nan(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Neither dropped unseen nor filled: the quality report counts them. A missing volume is 0, as yfinance has it."""
    yahoo.listings["AAPL"] = replace(
        yahoo.listings["AAPL"],
        null_days=frozenset({date(2024, 3, 5)}),
        volume_only_days=frozenset({date(2024, 3, 7)}),
    )

    bars = source.fetch_bars("AAPL", START, END).bars

    assert days_of(source.fetch_bars("AAPL", START, END)) == list(DAYS)
    assert bars["close"].isna().tolist() == [False, True, False, True]
    assert bars["adj_close"].isna().tolist() == [False, True, False, True]
    assert bars["volume"].tolist() == [1000.0, 0.0, 3000.0, 4000.0]


def test_a_range_without_trading_days_is_an_empty_frame(source: YFinanceSource) -> None:
    """Yahoo answers 200 without a time stamp; yfinance calls that possibly delisted."""
    fetched = source.fetch_bars("AAPL", date(2024, 3, 9), date(2024, 3, 11))

    assert fetched.bars.empty
    assert tuple(fetched.bars.columns) == BAR_COLUMNS
    assert fetched.bars.index.dtype == "datetime64[s]"
    assert (fetched.exchange, fetched.currency) == ("XNYS", "USD")


def test_a_revised_history_is_seen(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """The same past range asked again is sent again, though yfinance keeps answers about the past."""
    before = source.fetch_bars("AAPL", START, END).bars
    yahoo.listings["AAPL"] = Listing.of(make_fetched(bars=make_bars(closes=(100.0, 102.0, 99.0, 103.0))))
    after = source.fetch_bars("AAPL", START, END).bars

    assert (before["close"].tolist()[2], after["close"].tolist()[2]) == (101.0, 99.0)


def test_cookie_crumb_and_zone_are_asked_for_once(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """The first ticker costs four requests, the same ticker again one."""
    source.fetch_bars("AAPL", START, END)
    assert [request.about for request in yahoo.requests] == ["fc.yahoo.com", "/v1/test/getcrumb", "zone", "prices"]
    yahoo.requests.clear()
    source.fetch_bars("AAPL", START, END)
    assert [request.about for request in yahoo.requests] == ["prices"]


def test_threads_take_turns(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """yfinance has one client per process: two tickers asked for at once do not mix."""
    tickers = ["AAPL", "MSFT", "IBM"]
    for place, ticker in enumerate(tickers):
        closes = [10.0 * place + day for day in range(1, 5)]
        yahoo.listings[ticker] = Listing.of(make_fetched(ticker, make_bars(closes=closes)))
    found: dict[str, list[float]] = {}

    def fetch(ticker: str) -> None:
        found[ticker] = source.fetch_bars(ticker, START, END).bars["close"].tolist()

    threads = [Thread(target=fetch, args=(ticker,)) for ticker in tickers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {"AAPL": [1, 2, 3, 4], "MSFT": [11, 12, 13, 14], "IBM": [21, 22, 23, 24]}
    symbols = [request.symbol for request in yahoo.asked("zone", "prices")]
    assert symbols[0::2] == symbols[1::2]  # each ticker's zone is followed by its own prices


def test_it_holds_no_tickers_by_itself(source: YFinanceSource) -> None:
    """Yahoo must be asked by name."""
    assert source.tickers() == []
