"""Serving windows made of seeded noise, as the worker would publish them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import PUBLISHED_DAYS, DataVersion, ServingWindow

VERSION = DataVersion(table_id="test-table", version=1, content_sha256="0" * 64)


def make_bars(n_bars: int = 300, *, cutoff: date = date(2013, 3, 1), seed: int = 7) -> BarArrays:
    """Bars of ``n_bars`` weekdays up to ``cutoff``."""
    last = np.busday_offset(np.datetime64(cutoff, "D"), 0, roll="backward")
    days = np.busday_offset(last, np.arange(1 - n_bars, 1))
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n_bars)))
    return BarArrays(
        trading_day=days,
        open=close * 1.001,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        adj_close=close * 0.5,
        volume=np.full(n_bars, 1e6),
    )


def make_window(
    ticker: str = "AAPL",
    n_bars: int = 300,
    *,
    cutoff: date = date(2013, 3, 1),
    as_of: date | None = None,
    live: bool = False,
    seed: int = 7,
    version: DataVersion = VERSION,
) -> ServingWindow:
    """A window whose exchange opens on weekdays, 14:30 to 21:00 UTC; bars are final an hour later."""
    bars = make_bars(n_bars, cutoff=cutoff, seed=seed)
    targets = tuple(np.busday_offset(bars.trading_day[-1], np.arange(1, PUBLISHED_DAYS + 1)).tolist())
    return ServingWindow(
        ticker=ticker,
        exchange="XNYS",
        currency="USD",
        source="yfinance" if live else "sample",
        live=live,
        price_basis="split_adjusted" if live else "raw",
        bars=bars,
        target_trading_days=targets,
        opens_at=datetime.combine(targets[0], time(14, 30), tzinfo=UTC),
        known_at=tuple(datetime.combine(day, time(22), tzinfo=UTC) for day in targets),
        data_version=version,
        repaired_bars=2,
        as_of=as_of,
    )


def fresh_window(ticker: str = "AAPL", *, missing_days: int = 0, n_bars: int = 300) -> ServingWindow:
    """A live window that lacks ``missing_days`` final bars at this moment."""
    window = make_window(ticker, n_bars, live=True)
    # Shifted so that exactly `missing_days` of the instants lie behind us, whatever day the test runs on.
    now = datetime.now(UTC)
    first_known = now + timedelta(days=1) * (0.5 - missing_days)
    known_at = tuple(first_known + timedelta(days=step) for step in range(PUBLISHED_DAYS))
    return replace(window, known_at=known_at, opens_at=first_known - timedelta(hours=8))
