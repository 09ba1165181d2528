"""What each ticker's forecasts were worth, out of sums that triggers keep: nothing here grows with all scores."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, FromClause, RowMapping, ScalarSelect, Select, Subquery, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.track_record.figures import INSIDE, SUMS
from app.models.forecast import Forecast
from app.models.score import OpenForecast, TickerScoreDay, TickerScoreSum
from app.models.serving_window import ServingWindowRow
from ml_lifecycle.export.manifest import STEPS

_SUMS = (*SUMS, *INSIDE)


async def ticker_days(db: AsyncSession, ticker: str, *, after: date, steps: Sequence[int]) -> Sequence[RowMapping]:
    """Rows of ``TickerScoreDay`` of one ticker after a day, by kind, bundle and step, oldest day first."""
    day = TickerScoreDay.__table__
    rows = (
        select(day)
        .where(day.c.ticker == ticker, day.c.step.in_(steps), day.c.trading_day > after)
        .order_by(day.c.kind, day.c.bundle_id, day.c.step, day.c.trading_day)
    )
    return (await db.execute(rows)).mappings().all()


async def ticker_page(
    db: AsyncSession, *, step: int, after_day: date, after: str | None, limit: int
) -> Sequence[RowMapping]:
    """The next stored tickers behind ``after`` with the sums of their live forecasts' scores after a day."""
    page = select(ServingWindowRow.ticker).where(ServingWindowRow.as_of.is_(None)).order_by(ServingWindowRow.ticker)
    if after is not None:
        page = page.where(ServingWindowRow.ticker > after)
    records = records_of(page.limit(limit).subquery(), kind="live", step=step, after=after_day).subquery()
    return (await db.execute(select(records).order_by(records.c.ticker))).mappings().all()


async def has_forecasts(db: AsyncSession, ticker: str) -> bool:
    """Whether anything was ever forecast of a ticker."""
    return bool(await db.scalar(select(select(Forecast.id).where(Forecast.ticker == ticker).exists())))


def records_of(stored: Subquery, *, kind: str, step: int, after: date) -> Select[Any]:
    """Of each ticker in ``stored``: ``forecasts``, the sums of its scores after a day, and ``newest_outcome``.

    All days are summed up already (``date.min``); of a window its days are read, however long the history is.
    """
    ticker = stored.c.ticker
    sums = _all_days(ticker, kind, step) if after == date.min else _days_after(ticker, kind, step, after)
    forecasts = (_closed(ticker, kind) + _open(ticker, kind)).label("forecasts")
    return select(ticker, forecasts, *sums.c).select_from(stored).join(sums, true())


def _all_days(ticker: ColumnElement[str], kind: str, step: int) -> FromClause:
    total = TickerScoreSum
    newest = func.max(total.newest_outcome).label("newest_outcome")
    found = select(newest, *_summed(total)).where(total.ticker == ticker, total.kind == kind, total.step == step)
    return found.lateral()


def _days_after(ticker: ColumnElement[str], kind: str, step: int, after: date) -> FromClause:
    day = TickerScoreDay
    newest = func.max(day.trading_day).filter(day.n > 0).label("newest_outcome")
    found = select(newest, *_summed(day)).where(
        day.ticker == ticker, day.kind == kind, day.step == step, day.trading_day > after
    )
    return found.lateral()


def _summed(source: type[TickerScoreSum] | type[TickerScoreDay]) -> list[ColumnElement[Any]]:
    return [func.coalesce(func.sum(getattr(source, name)), 0).label(name) for name in _SUMS]


def _closed(ticker: ColumnElement[str], kind: str) -> ColumnElement[int]:
    """How many forecasts are scored to the end: as many as have a score of the last step."""
    total = TickerScoreSum
    last = select(total.n + total.voids).where(total.ticker == ticker, total.kind == kind, total.step == STEPS)
    return func.coalesce(last.scalar_subquery(), 0)


def _open(ticker: ColumnElement[str], kind: str) -> ScalarSelect[int]:
    waiting = OpenForecast
    return select(func.count()).where(waiting.ticker == ticker, waiting.kind == kind).scalar_subquery()
