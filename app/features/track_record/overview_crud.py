"""Sums over many forecasts' scores; nothing is written."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, Double, RowMapping, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.track_record.overview_schemas import Period, Sort
from app.features.track_record.schemas import Kind
from app.features.track_record.ticker_crud import records_of
from app.models.score import ScoreDay
from app.models.serving_window import ServingWindowRow

# A quantile is reached where the outcome is at or below it. What is looked at is bounded, however long the log grows.
_REACHED = text(
    """
WITH newest AS (
    SELECT f.kind, f.levels, f.log_returns[s.step:s.step][:] AS own, f.naive_log_returns[s.step:s.step][:] AS naive,
           s.log_return
    FROM forecasts f JOIN scores s ON s.forecast_id = f.id
    WHERE s.step = :step AND s.trading_day > :after AND s.log_return IS NOT NULL
      AND (CAST(:bundle_id AS text) IS NULL OR f.bundle_id = :bundle_id)
    ORDER BY f.made_at DESC LIMIT :most
)
SELECT kind, level,
       count(*) AS n, count(*) FILTER (WHERE log_return <= own[1][i]) AS reached,
       count(naive) AS naive_n, count(*) FILTER (WHERE log_return <= naive[1][i]) AS naive_reached
FROM newest, unnest(levels) WITH ORDINALITY AS promised(level, i)
GROUP BY kind, level ORDER BY kind DESC, level
"""
)


async def ticker_records(
    db: AsyncSession,
    *,
    kind: Kind,
    step: int,
    after_day: date,
    sort: Sort,
    descending: bool,
    offset: int = 0,
    limit: int | None = None,
) -> Sequence[RowMapping]:
    """Stored tickers with the sums of their scores after a day, by one figure; those that lack it come last."""
    stored = select(ServingWindowRow.ticker).where(ServingWindowRow.as_of.is_(None)).subquery()
    sums = records_of(stored, kind=kind, step=step, after=after_day).subquery()
    figure = _figure(sums.c, sort)
    ordered = (figure.desc() if descending else figure.asc()).nulls_last()
    page = select(sums).order_by(ordered, sums.c.ticker).offset(offset).limit(limit)
    return (await db.execute(page)).mappings().all()


def _figure(sums: Any, sort: Sort) -> ColumnElement[Any]:
    """What tickers are put in order by, as ``service.ticker_read`` works it out."""
    shares = {
        "relative_mae": (sums.absolute_error, sums.naive_absolute_error),
        "pinball_skill": (-sums.compared_pinball, sums.naive_pinball),
        "directional_accuracy": (sums.direction_hits, sums.directions),
    }
    if sort in shares:
        part, whole = shares[sort]
        return cast(part, Double) / func.nullif(whole, 0)
    column: ColumnElement[Any] = sums["n" if sort == "scored" else sort]
    return column


async def reached_quantiles(
    db: AsyncSession, *, step: int, after: date, bundle_id: str | None, most: int
) -> Sequence[RowMapping]:
    """By kind and level, how many of the newest outcomes there are and how many of them were at or below."""
    asked = {"step": step, "after": after, "bundle_id": bundle_id, "most": most}
    return (await db.execute(_REACHED, asked)).mappings().all()


async def sums_by_period(
    db: AsyncSession, *, step: int, after: date, bundle_id: str | None, by: Period
) -> Sequence[RowMapping]:
    """Sums of days as sums of weeks or months, by kind, oldest first."""
    start = func.date_trunc(by, ScoreDay.trading_day).cast(Date)
    summed = (
        ScoreDay.n,
        ScoreDay.absolute_error,
        ScoreDay.naive_absolute_error,
        ScoreDay.compared_pinball,
        ScoreDay.naive_pinball,
    )
    rows = (
        select(ScoreDay.kind, start.label("start"), *(func.sum(column).label(column.key) for column in summed))
        .where(ScoreDay.step == step, ScoreDay.trading_day > after)
        .group_by(ScoreDay.kind, start)
        .order_by(ScoreDay.kind.desc(), start)
    )
    if bundle_id is not None:
        rows = rows.where(ScoreDay.bundle_id == bundle_id)
    return (await db.execute(rows)).mappings().all()
