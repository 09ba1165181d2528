"""What the worker does for a ticker, off its event loop. Worker only: this brings the whole pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.config import Settings
from app.features.market_data.sources import open_sources
from app.features.market_data.traced_source import TracedSource
from data_pipeline.errors import ClosecastError, NothingStoredError
from data_pipeline.processing.calendars import last_final_day
from data_pipeline.publishing import build_serving_window, build_serving_windows
from data_pipeline.run_pipeline import collect
from data_pipeline.serving_window import ServingWindow
from data_pipeline.sources.base import BeforeListingError, PriceSourceError
from data_pipeline.storage.feature_store import FeatureStore

STORE = "the stored bars"  # told as the source of what they do not have


@dataclass(frozen=True)
class Collected:
    """What came of some tickers: windows to publish, quality reports and errors by ticker, what sources failed with."""

    windows: list[ServingWindow]
    reports: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, ClosecastError]
    source_errors: Sequence[PriceSourceError]  # those that another source made up for included


def collect_tickers(settings: Settings, tickers: Sequence[str]) -> Collected:
    """Fetch, check and store the newest bars of ``tickers``, and build their windows from that data version."""
    store = open_store(settings)
    summary = collect(store, TracedSource(open_sources(settings)), tickers, final_after=settings.final_after)
    errors = {result.ticker: result.error for result in summary.results if result.error is not None}
    reports = {result.ticker: result.quality.to_dict() for result in summary.results if result.quality is not None}
    source_errors = [error for error in errors.values() if isinstance(error, PriceSourceError)]
    source_errors += [error for result in summary.results for error in result.passed_over]
    sound = [ticker for ticker in tickers if ticker not in errors]
    if not sound or summary.data_version is None:
        return Collected([], reports, errors, source_errors)
    windows = build_serving_windows(store, sound, data_version=summary.data_version, final_after=settings.final_after)
    return Collected(list(windows), reports, errors, source_errors)


def build_window(settings: Settings, ticker: str, as_of: date) -> ServingWindow:
    """The window of the bars up to ``as_of``.

    Raises
    ------
    BeforeListingError : no stored bar is that old.
    """
    try:
        return build_serving_window(open_store(settings), ticker, as_of=as_of, final_after=settings.final_after)
    except NothingStoredError as error:
        raise BeforeListingError(ticker, STORE, f"none is of {as_of} or before") from error


def last_final_days(settings: Settings, exchanges: Sequence[str], now: datetime) -> dict[str, date]:
    """The newest trading day of each exchange whose bars are final."""
    return {exchange: last_final_day(exchange, now, settings.final_after) for exchange in exchanges}


def open_store(settings: Settings) -> FeatureStore:
    """The bars, where the settings say."""
    return FeatureStore(settings.bars_uri, settings.store_options)
