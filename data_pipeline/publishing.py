"""Serving windows: the newest bars of a ticker with the calendar and lineage that an answer needs."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date, timedelta

from data_pipeline.errors import NothingStoredError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.calendars import final_at, next_trading_days, opens_at
from data_pipeline.processing.quality import QualityReport
from data_pipeline.serving_window import PUBLISHED_BARS, PUBLISHED_DAYS, DataVersion, MarketInputs, ServingWindow
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.storage.market_table import universe_for
from data_pipeline.storage.snapshot import SeriesInfo


def build_serving_window(
    store: FeatureStore,
    ticker: str,
    *,
    data_version: DataVersion | None = None,
    as_of: date | None = None,
    final_after: timedelta,
) -> ServingWindow:
    """The window of one ticker.

    Parameters
    ----------
    data_version : to read; None for the newest.
    as_of : leave out the bars after this day.

    Raises
    ------
    NothingStoredError : the ticker has no stored bar (on or before ``as_of``).
    """
    windows = build_serving_windows(store, [ticker], data_version=data_version, as_of=as_of, final_after=final_after)
    window = next(windows, None)
    if window is None:
        raise NothingStoredError(ticker)
    return window


def build_serving_windows(
    store: FeatureStore,
    tickers: Collection[str] | None = None,
    *,
    data_version: DataVersion | None = None,
    as_of: date | None = None,
    final_after: timedelta,
) -> Iterator[ServingWindow]:
    """The windows of ``tickers`` (None: of all that are stored), all from one data version, in no order.

    A ticker without stored bars (on or before ``as_of``) has no window.
    """
    version = data_version or store.version()
    snapshot = store.at(version.version)
    series = {info.ticker: info for info in snapshot.series()}
    reports = {report.ticker: report for report in store.quality.read(version.version, tickers)}
    for ticker, bars in snapshot.iterate_bar_arrays(tickers):
        seen = bars if as_of is None else bars.until(as_of)
        if len(seen):
            window = _window(series[ticker], seen.last(PUBLISHED_BARS), version, final_after)
            yield replace(
                window,
                as_of=as_of,
                repaired_bars=_repaired_bars(reports.get(ticker), window.bars),
                market=_market(window, snapshot.universes),
            )


def _window(series: SeriesInfo, bars: BarArrays, version: DataVersion, final_after: timedelta) -> ServingWindow:
    """The window as the bars and the exchange's calendar tell it."""
    targets = next_trading_days(series.exchange, bars.cutoff, PUBLISHED_DAYS)
    return ServingWindow(
        ticker=series.ticker,
        exchange=series.exchange,
        currency=series.currency,
        source=series.source,
        live=series.live,
        price_basis=str(series.price_basis),
        bars=bars,
        target_trading_days=targets,
        opens_at=opens_at(series.exchange, targets[0]),
        known_at=tuple(final_at(series.exchange, day, final_after) for day in targets),
        data_version=version,
        repaired_bars=0,
    )


def _market(window: ServingWindow, universes: Collection[str]) -> MarketInputs | None:
    """The means that the bars carry, by their universe's name; None where there is none."""
    universe, bars = universe_for(window.exchange, universes), window.bars
    return None if universe is None else MarketInputs(universe, bars.market_return, bars.market_absolute_return)


def _repaired_bars(report: QualityReport | None, bars: BarArrays) -> int:
    if report is None:
        return 0
    first_day = bars.trading_day[0].item()
    return sum(first_day <= day <= bars.cutoff for day in report.repaired_days())
