"""The sums that the track record is formed from, counted anew from the scores.

Sums are kept by the statements and triggers that insert scores, one at a time; here they are formed all at once, each
kind of sums by one statement and so of one snapshot, while a scoring run may go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Text, and_, cast, func, not_, or_, select, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import InstrumentedAttribute

from app.core.database import allow_seconds
from app.features.track_record.finding import Finding
from app.models.forecast import Forecast
from app.models.score import Score, ScoreDay, TickerScoreDay, TickerScoreSum
from ml_lifecycle.export.manifest import HORIZONS

SAME = 1e-9  # relative, and no term is negative: sums in another order differ by less
TOLD = 100  # of each kind of sums: somebody who adds a constant to all of them does not fill the terminal
STATEMENT_SECONDS = 3600.0  # it reads all scores; who asks for it waits
LOCK_SECONDS = 2.0  # whoever wants a table for himself is not waited for

Sums = type[ScoreDay | TickerScoreDay | TickerScoreSum]
ALL_SUMS: Final[tuple[Sums, ...]] = (ScoreDay, TickerScoreDay, TickerScoreSum)

_was_compared = Score.naive_pinball.is_not(None)
COUNTED: Final[dict[str, ColumnElement[Any]]] = {
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
OF_SCORE: Final[dict[str, InstrumentedAttribute[Any]]] = {
    "kind": Forecast.kind,
    "bundle_id": Forecast.bundle_id,
    "ticker": Forecast.ticker,
    "step": Score.step,
    "trading_day": Score.trading_day,
}


@dataclass(frozen=True)
class Recounted:
    """How many sums there are, and which of them are not those of their scores."""

    sums: int
    findings: tuple[Finding, ...]


async def recount(sessions: async_sessionmaker[AsyncSession]) -> Recounted:
    """Every sum that is not that of its scores, lacks or stands for none; reads all scores, three times."""
    n_sums, findings = 0, []
    for sums in ALL_SUMS:
        async with sessions() as db:
            await allow_seconds(db, STATEMENT_SECONDS)
            await db.execute(text(f"SET LOCAL lock_timeout = {round(1000 * LOCK_SECONDS)}"))
            n_sums += (await db.execute(select(func.count()).select_from(sums))).scalar_one()
            findings += await _wrong_sums(db, sums)
    return Recounted(n_sums, tuple(findings))


async def _wrong_sums(db: AsyncSession, sums: Sums) -> list[Finding]:
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
    # As text: Python knows no year 20000, and somebody may have written one.
    named = [cast(func.coalesce(stored.c[key], counted.c[key]), Text).label(key) for key in keys]
    found = select(*named).select_from(stored.join(counted, same_key, full=True)).where(wrong)
    try:
        rows = (await db.execute(found.order_by(*named).limit(TOLD + 1))).mappings().all()
    except DataError as error:  # scores so large that no sum of them can be
        return [Finding(None, f"{sums.__tablename__} cannot be counted anew: {str(error.orig).splitlines()[0]}")]
    return _told(sums.__tablename__, keys, rows)


def _differ(stored: ColumnElement[Any], counted: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of sums that only one side has, every count differs: it is null there."""
    if isinstance(stored.type, Double):
        known = func.coalesce(counted, 0.0)
        return not_(func.abs(stored - known) <= SAME * func.abs(known))  # so neither infinite nor NaN is the same
    return stored.is_distinct_from(counted)


def _told(table: str, keys: Sequence[str], rows: Sequence[Any]) -> list[Finding]:
    found = [
        Finding(None, f"not the sums of their scores: {table} of " + ", ".join(f"{key} {row[key]}" for key in keys))
        for row in rows[:TOLD]
    ]
    return [*found, Finding(None, f"more such sums in {table}")] if len(rows) > TOLD else found
