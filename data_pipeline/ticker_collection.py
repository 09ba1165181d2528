"""One ticker from source to rows ready for the store: newest bars only where the stored ones still stand."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

import polars as pl

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bars import CheckedBars, check_bars
from data_pipeline.processing.quality import QualityReport
from data_pipeline.sources.base import (
    BAR_COLUMNS,
    FetchedBars,
    MalformedAnswerError,
    NoDataError,
    PriceSource,
    PriceSourceError,
)
from data_pipeline.storage.bar_table import BAR_TABLE_SCHEMA, SERIES_COLUMNS, Change, changed_rows, ticker_bucket
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.storage.snapshot import SeriesInfo
from data_pipeline.ticker import parse_ticker

OVERLAP_DAYS = 20  # stored bars that are asked for again, so that revisions are seen
LATER_START = timedelta(days=30)  # a refetched history that begins this much later is taken for half an answer


class Outcome(StrEnum):
    """What a run did with one ticker."""

    ADDED = "added"
    REVISED = "revised"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True)
class TickerResult:
    """How one ticker fared.

    Attributes
    ----------
    source : that gave the bars; with several, a fall-back is told here.
    n_added, n_revised, n_removed : rows by which the store changed.
    quality : on the whole stored history; None where the ticker failed.
    error : why it failed.
    note : what the operator should know of a ticker that did not fail, one line.
    passed_over : why each source before ``source`` gave nothing; ``note`` tells it too.
    """

    ticker: str
    outcome: Outcome
    source: str | None = None
    n_added: int = 0
    n_revised: int = 0
    n_removed: int = 0
    quality: QualityReport | None = None
    error: ClosecastError | None = None
    note: str | None = None
    passed_over: tuple[PriceSourceError, ...] = ()


@dataclass(frozen=True)
class CollectedTicker:
    """One ticker's rows on their way into the store; ``whole``: they are its entire history."""

    result: TickerResult
    rows: pl.DataFrame
    whole: bool = False


@dataclass(frozen=True)
class CollectRange:
    """``start <= trading_day < end``, None for the first and the newest; ``force``: whole histories again."""

    start: date | None = None
    end: date | None = None
    force: bool = False


class TickerCollector:
    """Collects tickers against the store as it was when the run began.

    Parameters
    ----------
    now : aware instant that decides which bars are final.
    final_after : how long after its exchange's close a bar becomes final.
    """

    def __init__(
        self, store: FeatureStore, source: PriceSource, asked: CollectRange, *, now: datetime, final_after: timedelta
    ) -> None:
        self._snapshot = store.at()
        self._series = {series.ticker: series for series in self._snapshot.series()}
        self._reports = {report.ticker: report for report in store.quality.read()}
        self._source, self._asked, self._now, self._final_after = source, asked, now, final_after

    def collect(self, ticker: str) -> CollectedTicker:
        """Fetch, check and compare one ticker; its error, if any, is part of the result."""
        try:
            return self._collect(parse_ticker(ticker))
        except ClosecastError as error:
            return CollectedTicker(TickerResult(ticker, Outcome.FAILED, error=error), no_rows())

    def _collect(self, ticker: str) -> CollectedTicker:
        series, report = self._series.get(ticker), self._reports.get(ticker)
        if series is None:
            return self._first(ticker)
        stored = self._snapshot.rows([ticker]).sort("trading_day")
        begins_earlier = self._asked.start is not None and self._asked.start < series.first_day
        # What is no live source costs nothing to read whole, and a changed file has no reason to change at its end.
        if self._asked.force or begins_earlier or report is None or not series.live:
            return self._whole(series, stored)
        return self._newest(series, stored, report)

    def _first(self, ticker: str) -> CollectedTicker:
        fetched, checked = self._fetch(ticker, self._asked.start, self._asked.end)
        rows = self._rows(fetched, _not_empty(fetched, checked))
        result = TickerResult(ticker, Outcome.ADDED, fetched.source, n_added=rows.height, quality=checked.report)
        return CollectedTicker(_told(result, fetched), rows)

    def _newest(self, series: SeriesInfo, stored: pl.DataFrame, report: QualityReport) -> CollectedTicker:
        """The bars after the stored ones, if the overlap shows that those still stand; else the whole history."""
        since = stored["trading_day"][-OVERLAP_DAYS:][0]
        fetched, checked = self._fetch(series.ticker, since, self._asked.end)
        unchanged = _told(TickerResult(series.ticker, Outcome.UNCHANGED, fetched.source, quality=report), fetched)
        if checked.bars.empty:
            return CollectedTicker(unchanged, no_rows())
        if _is_outage(fetched, checked, series):
            kept = replace(unchanged, source=series.source, note=_joined(unchanged.note, _kept(fetched, series)))
            return CollectedTicker(kept, no_rows())
        rows = self._rows(fetched, checked)
        overlap = stored.filter(pl.col("trading_day").is_between(since, checked.report.last_day))
        changes = changed_rows(overlap, rows, [series.ticker])
        if not _continues(rows, series) or _revises(changes, series):
            return self._whole(series, stored)
        quality = report.continued_by(checked.report, rows_out=stored.height + changes.height)
        outcome = Outcome.UNCHANGED if changes.is_empty() else Outcome.ADDED
        result = replace(unchanged, outcome=outcome, n_added=changes.height, quality=quality)
        return CollectedTicker(result, changes.drop("change"))

    def _whole(self, series: SeriesInfo, stored: pl.DataFrame) -> CollectedTicker:
        """The whole history again; what it lacks of the stored one goes."""
        fetched, checked = self._fetch(series.ticker, *self._whole_range(series))
        rows = self._rows(fetched, _not_empty(fetched, checked))
        if series.live and not self._asked.force:
            _refuse_half_history(fetched, rows, series)
        changes = changed_rows(stored, rows, [series.ticker])
        counts = {change: changes.filter(pl.col("change") == change).height for change in Change}
        result = TickerResult(
            series.ticker,
            _outcome(rows, changes, series),
            fetched.source,
            n_added=counts[Change.ADDED],
            n_revised=counts[Change.REVISED],
            n_removed=counts[Change.REMOVED],
            quality=checked.report,
        )
        if changes.is_empty():
            return CollectedTicker(_told(result, fetched), no_rows())
        return CollectedTicker(_told(result, fetched), rows, whole=True)

    def _whole_range(self, series: SeriesInfo) -> tuple[date | None, date | None]:
        """The range asked for, widened to what is stored; a live history begins where it was first collected from."""
        start, end = self._asked.start, self._asked.end
        if start is not None:
            start = min(start, series.first_day)
        elif series.live and not self._asked.force:
            start = series.first_day
        return start, end and max(end, series.last_day + timedelta(days=1))

    def _fetch(self, ticker: str, start: date | None, end: date | None) -> tuple[FetchedBars, CheckedBars]:
        fetched = self._source.fetch_bars(ticker, start, end)
        return fetched, check_bars(fetched, now=self._now, final_after=self._final_after)

    def _rows(self, fetched: FetchedBars, checked: CheckedBars) -> pl.DataFrame:
        return stored_rows(fetched, checked, self._now)


def no_rows() -> pl.DataFrame:
    """Nothing to store."""
    return pl.DataFrame(schema=BAR_TABLE_SCHEMA)


def stored_rows(fetched: FetchedBars, checked: CheckedBars, collected_at: datetime) -> pl.DataFrame:
    """Checked bars as rows of the bar table."""
    days = checked.bars.index.to_numpy().astype("datetime64[D]")
    values = {name: checked.bars[name].to_numpy() for name in BAR_COLUMNS}
    constants = {
        "exchange": fetched.exchange,
        "ticker_bucket": ticker_bucket(fetched.ticker),
        "ticker": fetched.ticker,
        "currency": fetched.currency,
        "source": fetched.source,
        "live": fetched.live,
        "price_basis": str(fetched.price_basis),
        "collected_at": collected_at,
    }
    frame = pl.DataFrame({"trading_day": days, **values})
    literals = [pl.lit(value, dtype=BAR_TABLE_SCHEMA[name]).alias(name) for name, value in constants.items()]
    return frame.with_columns(literals).select(list(BAR_TABLE_SCHEMA))


def _not_empty(fetched: FetchedBars, checked: CheckedBars) -> CheckedBars:
    if checked.bars.empty:
        raise NoDataError(fetched.ticker, fetched.source, f"none of its {len(fetched.bars)} rows is a bar to store")
    return checked


def _is_outage(fetched: FetchedBars, checked: CheckedBars, series: SeriesInfo) -> bool:
    """Whether the live source was away and the fall-back is behind what it had given."""
    last_day = checked.report.last_day
    return series.live and not fetched.live and last_day is not None and last_day <= series.last_day


def _kept(fetched: FetchedBars, series: SeriesInfo) -> str:
    return f"kept the bars of {series.source} to {series.last_day}: {fetched.source} has no newer ones"


def _told(result: TickerResult, fetched: FetchedBars) -> TickerResult:
    """``result`` with the sources that were passed over."""
    if not fetched.passed_over:
        return result
    reasons = "; ".join(f"{error.source} failed: {error.detail}" for error in fetched.passed_over)
    return replace(result, note=f"fall-back: {reasons}", passed_over=fetched.passed_over)


def _joined(*notes: str | None) -> str:
    return "; ".join(note for note in notes if note)


def _continues(rows: pl.DataFrame, series: SeriesInfo) -> bool:
    """Whether ``rows`` come from where the stored ones came from, with the same basis and no new split."""
    stored = tuple(str(getattr(series, name)) for name in SERIES_COLUMNS)
    same_series = tuple(str(value) for value in rows.select(SERIES_COLUMNS).row(0)) == stored
    return same_series and not _new_split(rows, series)


def _new_split(rows: pl.DataFrame, series: SeriesInfo) -> bool:
    return not rows.filter(pl.col("trading_day") > series.last_day, pl.col("split") != 0).is_empty()


def _revises(changes: pl.DataFrame, series: SeriesInfo) -> bool:
    """Whether the past changed: a stored bar differs or is gone, or one turned up among them."""
    return not changes.filter(
        (pl.col("change") != Change.ADDED) | (pl.col("trading_day") <= series.last_day)
    ).is_empty()


def _outcome(rows: pl.DataFrame, changes: pl.DataFrame, series: SeriesInfo) -> Outcome:
    if not _continues(rows, series):
        return Outcome.REPLACED
    if changes.is_empty():
        return Outcome.UNCHANGED
    return Outcome.REVISED if _revises(changes, series) else Outcome.ADDED


def _refuse_half_history(fetched: FetchedBars, rows: pl.DataFrame, series: SeriesInfo) -> None:
    first_day = rows["trading_day"][0]
    if fetched.source == series.source and first_day > series.first_day + LATER_START:
        raise MalformedAnswerError(
            series.ticker,
            fetched.source,
            f"its history now begins on {first_day}, {series.first_day} is stored; a forced collection takes it",
        )
