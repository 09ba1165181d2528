"""The bars that come with the project."""

import hashlib
from datetime import date
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from data_pipeline.sources.base import PriceBasis, UnknownTickerError
from data_pipeline.sources.sample_source import SAMPLE_FILE, SampleSource, implied_actions

FOLDER = files("data_pipeline.sources") / "sample"


@pytest.fixture(scope="module")
def source() -> SampleSource:
    return SampleSource()


def test_five_tickers_of_thirteen_years(source: SampleSource) -> None:
    assert source.tickers() == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    rows = {ticker: len(source.fetch_bars(ticker, None, None).bars) for ticker in source.tickers()}
    assert rows == {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}


def test_prices_are_raw_and_never_live(source: SampleSource) -> None:
    """AAPL on 2013-03-01: close 430.47, adjusted 56.14."""
    fetched = source.fetch_bars("AAPL", None, None)
    newest = fetched.bars.loc["2013-03-01"]
    assert (fetched.price_basis, fetched.source, fetched.live) == (PriceBasis.RAW, "sample", False)
    assert (fetched.exchange, fetched.currency) == ("XNYS", "USD")
    assert newest["close"] == pytest.approx(430.47)
    assert newest["adj_close"] == pytest.approx(56.14, abs=0.01)


def test_splits_are_the_real_ones(source: SampleSource) -> None:
    splits = {
        (ticker, str(day.date())): ratio
        for ticker in source.tickers()
        for day, ratio in source.fetch_bars(ticker, None, None).bars["split"].items()
        if isinstance(day, pd.Timestamp) and ratio
    }
    assert splits == {("AAPL", "2000-06-21"): 2.0, ("AAPL", "2005-02-28"): 2.0, ("MSFT", "2003-02-18"): 2.0}


@pytest.mark.parametrize(
    ("ticker", "day", "dollars"),
    [
        ("AAPL", "2012-08-09", 2.65),
        ("MSFT", "2004-11-15", 3.08),  # the special dividend of 3 dollars and the usual 8 cents
        ("MSFT", "2003-02-19", 0.08),  # the day after its split
        ("IBM", "2000-05-08", 0.13),
        ("IBM", "2013-02-06", 0.85),
    ],
)
def test_dividends_are_what_was_paid(source: SampleSource, ticker: str, day: str, dollars: float) -> None:
    assert source.fetch_bars(ticker, None, None).bars.loc[day, "dividend"] == dollars


def test_days_without_a_dividend_say_zero(source: SampleSource) -> None:
    """52 quarters of IBM; none of GOOG, and no -0 left by rounding."""
    ibm = source.fetch_bars("IBM", None, None).bars["dividend"]
    google = source.fetch_bars("GOOG", None, None).bars["dividend"]
    assert (ibm > 0).sum() == 52
    assert not google.any()
    assert not np.signbit(google).any()


def test_a_range_is_cut_after_the_actions_were_read(source: SampleSource) -> None:
    """The first bar of a range keeps its split, which only the bar before it tells."""
    bars = source.fetch_bars("AAPL", date(2005, 2, 28), date(2005, 3, 2)).bars
    assert [str(day.date()) for day in bars.index] == ["2005-02-28", "2005-03-01"]
    assert bars["split"].tolist() == [2.0, 0.0]


def test_a_sixth_ticker_is_unknown(source: SampleSource) -> None:
    with pytest.raises(UnknownTickerError, match="TSLA from sample"):
        source.fetch_bars("TSLA", None, None)


def test_actions_on_four_numbers() -> None:
    """Close 10, 5, 4, 4: 2:1 on the second day, 44 cents on the third (growth 8/9 of 0.8, times 4), nothing after."""
    splits, dividends = implied_actions(np.array([10.0, 5.0, 4.0, 4.0]), np.array([4.5, 4.5, 4.0, 4.0]))
    assert splits.tolist() == [0.0, 2.0, 0.0, 0.0]
    assert dividends.tolist() == [0.0, 0.0, 0.44, 0.0]


def test_the_file_is_small_and_the_one_whose_provenance_is_told() -> None:
    content = (FOLDER / SAMPLE_FILE).read_bytes()
    assert len(content) <= 400_000
    assert hashlib.sha256(content).hexdigest() in (FOLDER / "PROVENANCE.md").read_text()
