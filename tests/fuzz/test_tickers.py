"""V13.2.4: whatever is sent as a ticker, nobody but Yahoo's own hosts is asked.

`make fuzz` sends 10,000 texts through the check that each request passes, those that pass through the real yfinance,
and the first 300 past the check as well: the session would stop what the check lets through.
"""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from data_pipeline.sources import yfinance_state
from data_pipeline.sources.base import PriceSourceError
from data_pipeline.sources.throttle import InMemoryBudget
from data_pipeline.sources.yahoo_session import HOSTS
from data_pipeline.sources.yfinance_collector import Backoff, YFinanceSource
from data_pipeline.ticker import MalformedTickerError, parse_ticker
from tests.fake_yahoo import FakeYahoo
from tests.fuzz.tickers import fuzzed_tickers
from tests.network_guard import NetworkGuard

TICKERS, UNCHECKED = 10_000, 300
ONCE = Backoff(attempts=1, initial_seconds=0.0, longest_seconds=0.0, jitter_seconds=0.0)


def accepted(texts: list[str]) -> list[str]:
    """Those that pass the check, as they are passed on."""
    tickers = []
    for text in texts:
        try:
            tickers.append(parse_ticker(text))
        except MalformedTickerError:
            continue
    return tickers


def ask(tickers: list[str], yahoo: FakeYahoo, cache: Path) -> None:
    """Collect each of them with the real yfinance."""
    session = yahoo.session()
    limiter = InMemoryBudget(1e9, burst=10**6)
    source = YFinanceSource(cache, 5.0, session=session, limiter=limiter, backoff=ONCE)
    for ticker in tickers:
        with pytest.raises(PriceSourceError):  # nobody is listed there
            source.fetch_bars(ticker, date(2024, 3, 4), date(2024, 3, 8))
    session.close()


def test_v13_2_4_no_ticker_leads_to_another_host(
    tmp_path: Path, network_guard: NetworkGuard, counted: Counter[str]
) -> None:
    texts = list(fuzzed_tickers(TICKERS))
    tickers = accepted(texts)
    yfinance_state.forget_client()
    with FakeYahoo(tmp_path) as yahoo:
        ask(tickers, yahoo, tmp_path / "cache")
        checked = list(yahoo.requests)
        ask(texts[:UNCHECKED], yahoo, tmp_path / "cache")
        hosts = yahoo.hosts
    yfinance_state.forget_client()

    assert len(texts) == TICKERS
    assert len(tickers) > TICKERS / 20
    assert hosts <= HOSTS
    charts = {request.symbol for request in checked if request.symbol is not None}
    assert charts <= set(tickers)
    assert len(charts) > 0.9 * len(set(tickers))  # yfinance searches, at Yahoo too, for what looks like an ISIN
    assert network_guard.refused == []
    counted["tickers, of which none led to another host"] += len(texts)
    counted["of them passed the check and were collected"] += len(tickers)
