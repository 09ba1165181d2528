"""Rows of serving windows and of what was collected; the caller commits."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer_group

from app.core.notifications import WINDOW_CHANNEL
from app.models.market_data import DataVersionRow, NewTickerRequest, QualityReportRow, WindowFailure
from app.models.serving_window import ServingWindowRow
from data_pipeline.serving_window import DataVersion, ServingWindow

UPSERT_ROWS = 50  # windows per statement: some 80 kB each


async def find_window(db: AsyncSession, ticker: str, *, as_of: date | None = None) -> ServingWindowRow | None:
    """The newest window of a ticker, or the one kept for ``as_of``; without its bars."""
    return await db.scalar(_window(ticker, as_of))


async def find_newest_windows(db: AsyncSession, tickers: Sequence[str]) -> Sequence[ServingWindowRow]:
    """The newest window of each of these tickers that has one, without its bars."""
    newest = select(ServingWindowRow).where(ServingWindowRow.ticker.in_(tickers), ServingWindowRow.as_of.is_(None))
    return (await db.scalars(newest)).all() if tickers else []


async def newest_day(db: AsyncSession, tickers: Sequence[str]) -> date | None:
    """The day of the newest bar of any of these tickers, of all where none is named; None where nothing is stored."""
    newest = select(func.max(ServingWindowRow.cutoff)).where(ServingWindowRow.as_of.is_(None))
    return await db.scalar(newest.where(ServingWindowRow.ticker.in_(tickers)) if tickers else newest)


async def find_window_with_bars(db: AsyncSession, ticker: str, *, as_of: date | None = None) -> ServingWindowRow | None:
    """The same, with its bars."""
    return await db.scalar(_window(ticker, as_of).options(undefer_group("bars")))


def _window(ticker: str, as_of: date | None) -> Select[ServingWindowRow]:
    is_as_of = ServingWindowRow.as_of.is_(None) if as_of is None else ServingWindowRow.as_of == as_of
    return select(ServingWindowRow).where(ServingWindowRow.ticker == ticker, is_as_of)


async def live_exchanges(db: AsyncSession) -> Sequence[str]:
    """Exchanges that have a live window."""
    newest = select(ServingWindowRow.exchange).where(ServingWindowRow.as_of.is_(None), ServingWindowRow.live)
    return (await db.scalars(newest.distinct().order_by(ServingWindowRow.exchange))).all()


async def live_tickers_before(db: AsyncSession, exchange: str, day: date) -> Sequence[str]:
    """Tickers of one exchange whose newest window is live and ends before ``day``."""
    behind = select(ServingWindowRow.ticker).where(
        ServingWindowRow.as_of.is_(None),
        ServingWindowRow.live,
        ServingWindowRow.exchange == exchange,
        ServingWindowRow.cutoff < day,
    )
    return (await db.scalars(behind.order_by(ServingWindowRow.ticker))).all()


async def upsert_windows(db: AsyncSession, windows: Sequence[ServingWindow]) -> None:
    """Insert or replace windows; one that was published from a later data version stays."""
    for first in range(0, len(windows), UPSERT_ROWS):
        statement = insert(ServingWindowRow).values([values_of(w) for w in windows[first : first + UPSERT_ROWS]])
        new = statement.excluded
        replaced = {
            column.name: new[column.name]
            for column in ServingWindowRow.__table__.columns
            if column.name not in {"id", "ticker", "as_of", "published_at"}
        }
        await db.execute(
            statement.on_conflict_do_update(
                index_elements=[ServingWindowRow.ticker, ServingWindowRow.as_of],
                set_={**replaced, "published_at": func.clock_timestamp()},
                where=or_(
                    ServingWindowRow.data_table_id != new.data_table_id,
                    ServingWindowRow.data_version <= new.data_version,
                ),
            )
        )


def values_of(window: ServingWindow) -> dict[str, Any]:
    """The columns of a window's row."""
    bars, version, market = window.bars, window.data_version, window.market
    return {
        "ticker": window.ticker,
        "as_of": window.as_of,
        "cutoff": window.cutoff,
        "exchange": window.exchange,
        "currency": window.currency,
        "source": window.source,
        "live": window.live,
        "price_basis": window.price_basis,
        "target_trading_days": list(window.target_trading_days),
        "opens_at": window.opens_at,
        "known_at": list(window.known_at),
        "data_table_id": version.table_id,
        "data_version": version.version,
        "data_sha256": version.content_sha256,
        "repaired_bars": window.repaired_bars,
        "n_bars": len(bars),
        "trading_day": bars.trading_day,
        "open": bars.open,
        "high": bars.high,
        "low": bars.low,
        "close": bars.close,
        "adj_close": bars.adj_close,
        "volume": bars.volume,
        "market_universe": market.universe if market else None,
        "market_mean_return": market.mean_return if market else None,
        "market_mean_absolute_return": market.mean_absolute_return if market else None,
    }


async def delete_kept_windows(db: AsyncSession, built_before: datetime) -> None:
    """Delete the windows of past days that were published before an instant; the newest ones stay, however old."""
    await db.execute(
        delete(ServingWindowRow).where(
            ServingWindowRow.as_of.is_not(None), ServingWindowRow.published_at < built_before
        )
    )


async def add_data_version(db: AsyncSession, version: DataVersion, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep one data version with its quality reports by ticker; a second time changes nothing."""
    named = {"table_id": version.table_id, "version": version.version}
    row = insert(DataVersionRow).values(**named, content_sha256=version.content_sha256)
    await db.execute(row.on_conflict_do_nothing())
    if reports:
        rows = [{**named, "ticker": ticker, "report": dict(report)} for ticker, report in reports.items()]
        await db.execute(insert(QualityReportRow).on_conflict_do_nothing(), rows)


async def list_newest_windows(
    db: AsyncSession, *, starts_with: str, after: str | None, limit: int
) -> Sequence[ServingWindowRow]:
    """The newest window of each ticker with this beginning after ``after``, without bars, in alphabetical order."""
    page = select(ServingWindowRow).where(ServingWindowRow.as_of.is_(None)).order_by(ServingWindowRow.ticker)
    if starts_with:
        page = page.where(ServingWindowRow.ticker.startswith(starts_with, autoescape=True))
    if after is not None:
        page = page.where(ServingWindowRow.ticker > after)
    return (await db.scalars(page.limit(limit))).all()


async def list_versions(db: AsyncSession, *, limit: int) -> Sequence[DataVersionRow]:
    """The newest data versions first."""
    newest = select(DataVersionRow).order_by(DataVersionRow.published_at.desc(), DataVersionRow.version.desc())
    return (await db.scalars(newest.limit(limit))).all()


async def has_version(db: AsyncSession, version: int) -> bool:
    """Whether windows were published from a data version of this number."""
    found = select(DataVersionRow.version).where(DataVersionRow.version == version).limit(1)
    return await db.scalar(found) is not None


async def list_newest_reports(db: AsyncSession, *, after: str | None, limit: int) -> Sequence[QualityReportRow]:
    """The newest quality report of each ticker after ``after``, in alphabetical order."""
    reports = select(QualityReportRow).join(DataVersionRow).ext(distinct_on(QualityReportRow.ticker))
    if after is not None:
        reports = reports.where(QualityReportRow.ticker > after)
    order = (QualityReportRow.ticker, DataVersionRow.published_at.desc(), DataVersionRow.version.desc())
    return (await db.scalars(reports.order_by(*order).limit(limit))).all()


async def notify_windows(db: AsyncSession, tickers: Sequence[str]) -> None:
    """Tell every process, at the commit, that something about these tickers is new."""
    statement = text("SELECT pg_notify(:channel, ticker) FROM unnest(CAST(:tickers AS text[])) AS ticker")
    await db.execute(statement, {"channel": WINDOW_CHANNEL, "tickers": list(tickers)})


async def settled_tickers(db: AsyncSession, tickers: Sequence[str], since: datetime) -> set[str]:
    """Tickers whose newest window was published after ``since``, or whose failure is believed."""
    published = select(ServingWindowRow.ticker).where(
        ServingWindowRow.ticker.in_(tickers), ServingWindowRow.as_of.is_(None), ServingWindowRow.published_at > since
    )
    failed = select(WindowFailure.ticker).where(
        WindowFailure.ticker.in_(tickers), WindowFailure.as_of.is_(None), WindowFailure.expires_at > func.now()
    )
    return set(await db.scalars(published.union(failed)))


async def database_clock(db: AsyncSession) -> datetime:
    """This instant, by the one clock that all processes share."""
    instant: datetime = (await db.execute(select(func.clock_timestamp()))).scalar_one()
    return instant


async def find_failure(db: AsyncSession, ticker: str, as_of: date | None) -> WindowFailure | None:
    """What the last attempt at a window failed on, while that is believed."""
    return await db.scalar(
        select(WindowFailure).where(
            WindowFailure.ticker == ticker,
            WindowFailure.as_of.is_(None) if as_of is None else WindowFailure.as_of == as_of,
            WindowFailure.expires_at > func.now(),
        )
    )


async def remember_failure(db: AsyncSession, **values: Any) -> None:
    """Keep why a window could not be had, in the place of what was known before."""
    row = insert(WindowFailure).values(**values)
    await db.execute(row.on_conflict_do_update(index_elements=[WindowFailure.ticker, WindowFailure.as_of], set_=values))


async def forget_failures(db: AsyncSession, tickers: Sequence[str]) -> None:
    """A window says more than an old failure."""
    await db.execute(delete(WindowFailure).where(WindowFailure.ticker.in_(tickers)))


async def count_new_window(db: AsyncSession, user_id: UUID, day: date, subject: str) -> int:
    """Note that a user asked for what is not stored; how many different such things that makes on ``day``."""
    row = insert(NewTickerRequest).values(user_id=user_id, day=day, ticker=subject)
    await db.execute(row.on_conflict_do_nothing())
    asked = select(func.count()).where(NewTickerRequest.user_id == user_id, NewTickerRequest.day == day)
    return await db.scalar(asked) or 0
