"""Recorded answers of Yahoo, replayed to the real yfinance; skipped where the recordings are not at hand."""

import json
from datetime import date
from typing import Any

import numpy as np
import pytest

from data_pipeline.sources.base import (
    BeforeListingError,
    MalformedAnswerError,
    NoDataError,
    PriceSourceUnavailableError,
    RateLimitedError,
    UnknownTickerError,
)
from data_pipeline.sources.yfinance_collector import YFinanceSource
from tests.fake_yahoo import Answer, FakeYahoo
from tests.fake_yahoo.server import COOKIE, CRUMB
from tests.shared_data import shared_file


def recorded(name: str) -> dict[str, Any]:
    """The ``response`` of one recorded exchange."""
    response: dict[str, Any] = json.loads(shared_file(f"yahoo/{name}.json").read_text())["response"]
    return response


@pytest.mark.parametrize(
    ("name", "ticker", "n_bars", "first", "last", "exchange", "currency"),
    [
        ("AAPL_1d_20200831_20201107_split_dividend", "AAPL", 49, "2020-08-31", "2020-11-06", "XNYS", "USD"),
        ("MSFT_1d_20210201_20220131_dividends", "MSFT", 252, "2021-02-01", "2022-01-28", "XNYS", "USD"),
        ("NVDA_1d_20210201_20220131_split", "NVDA", 252, "2021-02-01", "2022-01-28", "XNYS", "USD"),
        ("AAPL_1d_6mo_20251029", "AAPL", 127, "2025-04-30", "2025-10-29", "XNYS", "USD"),
        ("GS2C.DE_1d_5d_live_last_row", "GS2C.DE", 5, "2025-10-23", "2025-10-29", "XETR", "EUR"),
        ("PETR4.SA_1d_2021_rebuilt", "PETR4.SA", 158, "2021-01-04", "2021-08-20", "BVMF", "BRL"),
        ("OCDO.L_1d_pence", "OCDO.L", 1, None, None, "XLON", "GBp"),
        ("QQQ_1d_etf", "QQQ", 1, None, None, "XNYS", "USD"),
        ("GCF_1d_future", "GC=F", 1, None, None, "CMES", "USD"),
        ("EURUSDX_1d_london", "EURUSD=X", 3, None, None, "24/5", "USD"),
        ("BTC-USD_1d_utc", "BTC-USD", 3, None, None, "24/7", "USD"),
    ],
)
def test_recorded_histories(
    source: YFinanceSource,
    yahoo: FakeYahoo,
    name: str,
    ticker: str,
    n_bars: int,
    first: str | None,
    last: str | None,
    exchange: str,
    currency: str,
) -> None:
    """Every row on its own day, with close and volume as recorded."""
    response = recorded(f"chart/{name}")
    yahoo.always_say(ticker, Answer.recorded(response))

    fetched = source.fetch_bars(ticker, None, None)

    result = response["body_json"]["chart"]["result"][0]
    assert (len(fetched.bars), fetched.exchange, fetched.currency) == (n_bars, exchange, currency)
    assert fetched.bars.index.is_monotonic_increasing
    assert fetched.bars.index.is_unique
    if first is not None:
        assert [str(day.date()) for day in fetched.bars.index[[0, -1]]] == [first, last]
    quote = result["indicators"]["quote"][0]
    np.testing.assert_array_equal(fetched.bars["close"], np.array(quote["close"], dtype=float))
    np.testing.assert_array_equal(fetched.bars["volume"], [volume or 0 for volume in quote["volume"]])


def test_recorded_splits_and_dividends(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """AAPL 4:1 on 2020-08-31 and 0.205 dollars on 2020-11-06; NVDA has no jump at its split."""
    yahoo.always_say("AAPL", Answer.recorded(recorded("chart/AAPL_1d_20200831_20201107_split_dividend")))
    apple = source.fetch_bars("AAPL", None, None).bars
    assert apple.loc["2020-08-31", "split"] == 4.0
    assert apple.loc["2020-11-06", "dividend"] == 0.205
    assert (apple[["split", "dividend"]] > 0).to_numpy().sum() == 2

    yahoo.always_say("NVDA", Answer.recorded(recorded("chart/NVDA_1d_20210201_20220131_split")))
    nvidia = source.fetch_bars("NVDA", None, None).bars
    assert nvidia.loc["2021-07-20", "split"] == 4.0
    assert nvidia["close"].pct_change().abs().max() < 0.15


def test_recorded_nulls(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """Days without prices stay as NaN rows, the newest one, which has a volume, among them."""
    yahoo.always_say("PETR4.SA", Answer.recorded(recorded("chart/PETR4.SA_1d_2021_nulls")))

    bars = source.fetch_bars("PETR4.SA", None, None).bars

    missing = bars.index[bars["close"].isna()]
    assert len(bars) == 158
    assert len(missing) == 3
    assert str(missing[0].date()) == "2021-02-17"
    assert missing[-1] == bars.index[-1]
    assert bars["volume"].iloc[-1] > 0


def test_a_recorded_weekend_is_an_empty_frame(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """A valid symbol in a window without session."""
    yahoo.always_say("AAPL", Answer.recorded(recorded("chart/AAPL_1m_weekend_no_timestamp")))
    fetched = source.fetch_bars("AAPL", date(2025, 2, 1), date(2025, 2, 2))
    assert fetched.bars.empty
    assert fetched.currency == "USD"


@pytest.mark.parametrize(
    ("name", "error_class", "said"),
    [
        ("chart/CAPIO.ST_delisted_200_no_quotes", NoDataError, "no currency and no prices"),
        ("chart/AAPL_1mo_5y_split_event", MalformedAnswerError, "rows of 1mo"),
        ("chart/AAPL_1mo_5y_dividend_events", MalformedAnswerError, "rows of 1mo"),
        ("chart/VFINX_3mo_max_fund_capital_gains", MalformedAnswerError, "rows of 3mo"),
        ("errors/404_not_found", UnknownTickerError, "No data found, symbol may be delisted"),
        ("errors/400_before_listing", BeforeListingError, "Data doesn't exist for startDate"),
        ("errors/422_intraday_range", MalformedAnswerError, "HTTP 422: 1h data not available"),
        ("errors/429_edge", RateLimitedError, "HTTP 429"),
        ("errors/401_invalid_crumb", PriceSourceUnavailableError, "HTTP 401"),
        ("errors/401_no_access", PriceSourceUnavailableError, "HTTP 401"),
        ("errors/200_maintenance_html", MalformedAnswerError, "Will be right back"),
        ("errors/502_html", PriceSourceUnavailableError, "HTTP 502"),
        ("errors/200_result_null", MalformedAnswerError, "a chart without a result"),
        ("errors/200_result_empty", MalformedAnswerError, "a chart without a result"),
    ],
)
@pytest.mark.parametrize("about", ["AAPL", "AAPL/prices"])
def test_recorded_refusals(
    source: YFinanceSource, yahoo: FakeYahoo, name: str, error_class: type[Exception], said: str, about: str
) -> None:
    """Whether the zone is asked for or the prices, each is called what it is."""
    yahoo.always_say(about, Answer.recorded(recorded(name)))
    with pytest.raises(error_class, match=said) as caught:
        source.fetch_bars("AAPL", date(2020, 1, 1), date(2021, 1, 1))
    assert type(caught.value) is error_class


def test_the_recorded_cookie_and_crumb_do(source: YFinanceSource, yahoo: FakeYahoo) -> None:
    """As the fake's own do."""
    yahoo.always_say(COOKIE, Answer.recorded(recorded("errors/fc_cookie")))
    yahoo.always_say(CRUMB, Answer.recorded(recorded("errors/crumb")))
    assert len(source.fetch_bars("AAPL", None, None).bars) == 4
    assert yahoo.asked("prices")[0].query["crumb"] == "abcDEF12345"
