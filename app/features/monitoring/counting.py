"""Answers are counted once a minute by a worker, and read here with what has been logged since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.features.monitoring import crud
from app.features.monitoring.latencies import Latencies
from app.models.answer_counts import ALL_TIME

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Rows bear the instant of their answer and are committed later, within the deadlines of a request; clocks differ.
SETTLED_AFTER = timedelta(minutes=2)
KEPT = timedelta(days=2)  # of slices: they are in the sum of all time
MOST_READ = HOUR  # of the log, by a request: where no worker counts, the rest is told to be lacking


@dataclass(frozen=True)
class Window:
    """Answered and unanswered forecasts since an instant; None: since the beginning."""

    since: datetime | None
    answered: Latencies
    unanswered: Mapping[str, int]


@dataclass(frozen=True)
class Counts:
    """The last hour and day, each from the beginning of its first ten minutes, and all time.

    ``behind``: nobody has counted for so long that answers are lacking in the last two.
    """

    last_hour: Window
    last_day: Window
    all_time: Window
    behind: bool


async def count_answers(tools: WorkerTools) -> int:
    """Count what the log holds and is settled, an hour of it in a transaction; gives the number of answers.

    Where the counting ended is committed with the counts, so that a worker that is killed, or two at once, count
    nothing twice.
    """
    now, counted = tools.clock(), 0
    while (some := await _count_some(tools, now - SETTLED_AFTER)) is not None:
        counted += some
    async with tools.sessions() as db:
        await crud.lock_counting(db)
        await crud.drop_slices(db, _slice_of(now - KEPT))
        await db.commit()
    return counted


async def read_counts(db: AsyncSession, now: datetime) -> Counts:
    """What is counted, and what the log holds since; in one snapshot, so that nothing is counted meanwhile."""
    await db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    until = await crud.counted_until(db)
    first = max(now - MOST_READ, until or now - MOST_READ)
    oldest = await crud.oldest_logged(db, until)
    recent = await crud.summed_log(db, first, now + SETTLED_AFTER)
    all_time = [await crud.counts_at(db, ALL_TIME), *recent.values()]
    hour, day = _slice_of(now - HOUR), _slice_of(now - DAY)
    counted = await crud.counts_since(db, day)

    async def window(since: datetime) -> Window:
        parts = [each for slices in (counted, recent) for slice_at, each in slices.items() if slice_at >= since]
        return Window(since, Latencies.together(parts), await crud.unanswered_since(db, since))

    return Counts(
        last_hour=await window(hour),
        last_day=await window(day),
        all_time=Window(None, Latencies.together(all_time), await crud.unanswered_since(db, ALL_TIME)),
        behind=oldest is not None and oldest < first,
    )


async def _count_some(tools: WorkerTools, settled: datetime) -> int | None:
    """Count the next hour that holds answers; None where there is none."""
    async with tools.sessions() as db:
        await crud.lock_counting(db)
        first = await crud.oldest_logged(db, await crud.counted_until(db))
        if first is None or first >= settled:
            return None
        until = min(first + HOUR, settled)
        slices = await crud.summed_log(db, first, until)
        for slice_at in (each for each in slices if each >= _slice_of(settled - KEPT)):
            known = await crud.counts_at(db, slice_at)
            await crud.put_counts(db, slice_at, Latencies.together([known, slices[slice_at]]))
        total = Latencies.together([await crud.counts_at(db, ALL_TIME), *slices.values()])
        await crud.put_counts(db, ALL_TIME, total, until=until)
        await db.commit()
        return Latencies.together(slices.values()).answers


def _slice_of(instant: datetime) -> datetime:
    return instant - (instant - ALL_TIME) % crud.SLICE
