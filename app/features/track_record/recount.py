"""The sums that the track record shows, counted anew from the scores: what was changed in either by SQL is found.

Sums are kept by the statements and triggers that insert scores, one at a time; here they are formed all at once, each
kind of sums by one statement and so of one snapshot, while a scoring run may go on.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import InstrumentedAttribute

from app.features.track_record.finding import Finding
from app.models.forecast import Forecast
from app.models.score import Score, ScoreDay, TickerScoreDay, TickerScoreSum
from ml_lifecycle.export.manifest import HORIZONS

SAME = 1e-9  # relative, and no term is negative: sums in another order differ by less
TOLD = 100  # of each kind of sums: somebody who adds a constant to all of them does not fill the terminal

_was_compared = Score.naive_pinball.is_not(None)
COUNTED: dict[str, ColumnElement[Any]] = {
    "n": func.count(Score.log_return),
    "voids": func.count().filter(Score.log_return.is_(None)),
    "absolute_error": func.sum(Score.absolute_error),
    "naive_absolute_error": func.sum(Score.naive_absolute_error),
    "pinball": func.sum(Score.pinball),
    "compared": func.count().filter(_was_compared),
    "compared_pinball": func.sum(Score.pinball).filter(_was_compared),
    "naive_pinball": func.sum(Score.naive_pinball),
    "directions": func.count().filter(Score.direction_hit.is_not(None)),
    "direction_hits": func.count().filter(Score.direction_hit.is_(True)),
    "inside_50": func.count().filter(Score.inside_50.is_(True)),
    "inside_80": func.count().filter(Score.inside_80.is_(True)),
    "inside_90": func.count().filter(Score.inside_90.is_(True)),
    "inside_95": func.count().filter(Score.inside_95.is_(True)),
    "newest_outcome": func.max(Score.trading_day).filter(Score.log_return.is_not(None)),
}
OF_SCORE: dict[str, InstrumentedAttribute[Any]] = {
    "kind": Forecast.kind,
    "bundle_id": Forecast.bundle_id,
    "ticker": Forecast.ticker,
    "step": Score.step,
    "trading_day": Score.trading_day,
}


async def recount(sessions: async_sessionmaker[AsyncSession]) -> list[Finding]:
    """Every sum that is not that of its scores, lacks or stands for none; reads all scores, three times."""
    findings = []
    for sums in (ScoreDay, TickerScoreDay, TickerScoreSum):
        async with sessions() as db:
            findings += await _wrong_sums(db, sums)
    return findings


async def _wrong_sums(db: AsyncSession, sums: type[ScoreDay | TickerScoreDay | TickerScoreSum]) -> list[Finding]:
    stored = sums.__table__
    keys = [column.name for column in stored.primary_key]
    figures = [column.name for column in stored.columns if column.name not in keys]
    of_these = Score.step.in_(HORIZONS) if "ticker" in keys else Score.step.is_not(None)
    counted = (
        select(*(OF_SCORE[key].label(key) for key in keys), *(COUNTED[name].label(name) for name in figures))
        .join(Forecast, Forecast.id == Score.forecast_id)
        .where(of_these)
        .group_by(*(OF_SCORE[key] for key in keys))
        .subquery()
    )
    same_key = and_(*(stored.c[key] == counted.c[key] for key in keys))
    wrong = or_(*(_differ(stored.c[name], counted.c[name]) for name in figures))
    named = [func.coalesce(stored.c[key], counted.c[key]).label(key) for key in keys]
    found = select(*named).select_from(stored.join(counted, same_key, full=True)).where(wrong)
    rows = (await db.execute(found.order_by(*named).limit(TOLD + 1))).mappings().all()
    return _told(sums.__tablename__, keys, rows)


def _differ(stored: ColumnElement[Any], counted: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of sums that only one side has, every count differs: it is null there."""
    if isinstance(stored.type, Double):
        return func.abs(stored - func.coalesce(counted, 0)) > SAME * func.abs(stored)
    return stored.is_distinct_from(counted)


def _told(table: str, keys: Sequence[str], rows: Sequence[Any]) -> list[Finding]:
    found = [
        Finding(
            row.get("trading_day"),
            f"not the sums of their scores: {table} of "
            + ", ".join(f"{key} {row[key]}" for key in keys if key != "trading_day"),
        )
        for row in rows[:TOLD]
    ]
    return [*found, Finding(None, f"more such sums in {table}")] if len(rows) > TOLD else found
