"""Collect → check → store → data version; by itself ``python -m data_pipeline.run_pipeline``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from data_pipeline.errors import NothingStoredError, StoreConflictError
from data_pipeline.market_update import update_market
from data_pipeline.processing.quality import CalendarQuestion, QualityReport, compare_tickers
from data_pipeline.serving_window import DataVersion
from data_pipeline.sources.base import PriceSource
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.ticker_collection import (
    CollectedTicker,
    CollectRange,
    Outcome,
    TickerCollector,
    TickerResult,
    no_rows,
)

FINAL_AFTER = timedelta(minutes=60)

Progress = Callable[[int, int, str], None]  # done, total, the ticker just done


@dataclass(frozen=True)
class CollectSummary:
    """What a run did.

    Attributes
    ----------
    results : by ticker, in the order asked.
    questions : doubts about the calendars of the exchanges concerned, over all that is stored.
    data_version : that the run ended on; None where the store is still empty.
    """

    results: tuple[TickerResult, ...]
    questions: tuple[CalendarQuestion, ...]
    data_version: DataVersion | None

    @property
    def failed(self) -> tuple[TickerResult, ...]:
        """The tickers that failed."""
        return tuple(result for result in self.results if result.outcome is Outcome.FAILED)


def collect(
    store: FeatureStore,
    source: PriceSource,
    tickers: Sequence[str] | None = None,
    *,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    now: datetime | None = None,
    final_after: timedelta = FINAL_AFTER,
    progress: Progress | None = None,
) -> CollectSummary:
    """Fetch, check and store the bars of ``tickers`` (None: all that the source holds), in one merge.

    A stored ticker is asked for its newest bars only, with an overlap; where a past bar has changed, or the source,
    the basis or a split, its whole history is fetched again. A ticker that fails does not stop the others.

    Parameters
    ----------
    start, end : ``start <= trading_day < end``; None for the first and the newest.
    force : fetch whole histories again.
    now : aware instant that decides which bars are final; None for the clock.

    Raises
    ------
    StoreUnavailableError : the store cannot be read or written; nothing was stored.
    """
    tickers = list(dict.fromkeys(source.tickers() if tickers is None else tickers))
    collector = TickerCollector(
        store, source, CollectRange(start, end, force), now=now or datetime.now(UTC), final_after=final_after
    )
    collected = []
    for done, ticker in enumerate(tickers, start=1):
        collected.append(collector.collect(ticker))
        if progress:
            progress(done, len(tickers), ticker)
    return _store(store, collected)


def _store(store: FeatureStore, collected: list[CollectedTicker]) -> CollectSummary:
    """Write all changes in one version, then what is known about it."""
    collected, version = _merge(store, collected)
    results = [ticker.result for ticker in collected]
    if version is None:
        return CollectSummary(tuple(results), (), None)
    update_market(store, results, version.version)
    reports, questions = _keep_reports(store, results, version.version)
    exchanges = {result.quality.exchange for result in results if result.quality}
    return CollectSummary(
        tuple(replace(result, quality=reports.get(result.ticker)) for result in results),
        tuple(question for question in questions if question.exchange in exchanges),
        version,
    )


def _merge(store: FeatureStore, collected: list[CollectedTicker]) -> tuple[list[CollectedTicker], DataVersion | None]:
    """The version after the merge; tickers that another run replaced meanwhile fail, the others are stored."""
    rows = pl.concat([no_rows(), *(ticker.rows for ticker in collected)])
    if rows.is_empty():
        return collected, _current_version(store)
    try:
        return collected, store.merge(rows, [ticker.result.ticker for ticker in collected if ticker.whole])
    except StoreConflictError as conflict:
        return _merge(store, [_failed(ticker, conflict) for ticker in collected])


def _failed(ticker: CollectedTicker, conflict: StoreConflictError) -> CollectedTicker:
    if ticker.result.ticker not in conflict.tickers:
        return ticker
    return CollectedTicker(TickerResult(ticker.result.ticker, Outcome.FAILED, error=conflict), no_rows())


def _current_version(store: FeatureStore) -> DataVersion | None:
    try:
        return store.version()
    except NothingStoredError:
        return None


def _keep_reports(
    store: FeatureStore, results: Sequence[TickerResult], version: int
) -> tuple[dict[str, QualityReport], list[CalendarQuestion]]:
    """Store the reports that are news; all that are stored then, by ticker, seen beside each other."""
    known = {report.ticker: report for report in store.quality.read(version)}
    found = [result.quality for result in results if result.quality]
    news = [report for report in found if known.get(report.ticker) != report]
    store.quality.append(version, news)
    current = known | {report.ticker: report for report in news}
    reports, questions = compare_tickers(list(current.values()))
    return {report.ticker: report for report in reports}, questions


if __name__ == "__main__":
    from data_pipeline.collect_command import main

    raise SystemExit(main())
