"""Rows of answer counts, and sums over the prediction log; the caller commits."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import allow_seconds
from app.features.monitoring.latencies import GROWTH, LEAST_MS, Latencies
from app.models.answer_counts import ALL_TIME, AnswerCount, UnansweredCount
from app.models.prediction_log import PredictionLogRow

SLICE: Final = timedelta(minutes=10)
COUNTING_LOCK = 0x636F756E74  # any number, the same for every worker
COUNTING_SECONDS = 60.0  # an hour of a busy log; requests are not held up by it

SUMMED = text(
    """
    SELECT date_bin(:slice, answered_at, TIMESTAMPTZ '1970-01-01 00:00:00+00') AS slice_at,
           floor(ln(greatest(latency_ms, :least) / CAST(:least AS float8)) / ln(CAST(:growth AS float8)))::int,
           count(*), sum(latency_ms), min(latency_ms), max(latency_ms), max(answered_at)
    FROM prediction_log WHERE answered_at >= :since AND answered_at < :until GROUP BY 1, 2
    """
)


async def summed_log(db: AsyncSession, since: datetime, until: datetime) -> dict[datetime, Latencies]:
    """Answers logged from ``since`` to before ``until``, by slice."""
    bounds = {"since": since, "until": until, "slice": SLICE, "least": LEAST_MS, "growth": GROWTH}
    parts: dict[datetime, list[Latencies]] = defaultdict(list)
    for slice_at, bucket, n, total, least, most, newest in await db.execute(SUMMED, bounds):
        parts[slice_at].append(Latencies(n, total, least, most, Counter({bucket: n}), newest))
    return {slice_at: Latencies.together(some) for slice_at, some in parts.items()}


async def oldest_logged(db: AsyncSession, since: datetime | None) -> datetime | None:
    """Instant of the first answer in the log, or of the first from ``since`` on."""
    oldest = select(func.min(PredictionLogRow.answered_at))
    if since is not None:
        oldest = oldest.where(PredictionLogRow.answered_at >= since)
    return await db.scalar(oldest)


async def lock_counting(db: AsyncSession) -> None:
    """Wait until no other transaction counts; then statements may take long in this one."""
    await allow_seconds(db, COUNTING_SECONDS)
    await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": COUNTING_LOCK})


async def counted_until(db: AsyncSession) -> datetime | None:
    """Up to where the log is counted; None: nothing is."""
    return await db.scalar(select(AnswerCount.counted_until).where(AnswerCount.slice_at == ALL_TIME))


async def counts_since(db: AsyncSession, since: datetime) -> dict[datetime, Latencies]:
    """What is counted by slice, from ``since`` on."""
    rows = await db.scalars(select(AnswerCount).where(AnswerCount.slice_at >= since))
    return {row.slice_at: _latencies(row) for row in rows}


async def counts_at(db: AsyncSession, slice_at: datetime) -> Latencies:
    """What is counted of one slice, or of ``ALL_TIME``."""
    row = await db.get(AnswerCount, slice_at)
    return Latencies.together([] if row is None else [_latencies(row)])


async def put_counts(db: AsyncSession, slice_at: datetime, counts: Latencies, *, until: datetime | None = None) -> None:
    """Write one slice in the place of what was there; ``until`` goes with ``ALL_TIME``."""
    values = {
        "answers": counts.answers,
        "latency_sum_ms": counts.sum_ms,
        "latency_min_ms": counts.min_ms,
        "latency_max_ms": counts.max_ms,
        "latency_buckets": {str(bucket): n for bucket, n in counts.buckets.items()},
        "newest_at": counts.newest_at,
        "counted_until": until,
    }
    row = insert(AnswerCount).values(slice_at=slice_at, **values)
    await db.execute(row.on_conflict_do_update(index_elements=[AnswerCount.slice_at], set_=values))


async def unanswered_since(db: AsyncSession, since: datetime) -> dict[str, int]:
    """Forecasts that were asked for and not answered, by outcome; ``ALL_TIME``: of all slices together."""
    summed = select(UnansweredCount.outcome, func.sum(UnansweredCount.n)).group_by(UnansweredCount.outcome)
    rows = await db.execute(summed.where(UnansweredCount.slice_at >= since))
    return {outcome: int(n) for outcome, n in rows}


async def drop_slices(db: AsyncSession, before: datetime) -> None:
    """Delete old slices; what they hold of the unanswered is added to ``ALL_TIME``, which has the answered already."""
    old = (AnswerCount.slice_at < before, AnswerCount.slice_at > ALL_TIME)
    await db.execute(delete(AnswerCount).where(*old))
    gone = delete(UnansweredCount).where(UnansweredCount.slice_at < before, UnansweredCount.slice_at > ALL_TIME)
    folded: Counter[str] = Counter()
    for outcome, n in await db.execute(gone.returning(UnansweredCount.outcome, UnansweredCount.n)):
        folded[outcome] += n
    for outcome, n in folded.items():
        row = insert(UnansweredCount).values(slice_at=ALL_TIME, outcome=outcome, n=n)
        total = UnansweredCount.n + row.excluded.n
        key = [UnansweredCount.slice_at, UnansweredCount.outcome]
        await db.execute(row.on_conflict_do_update(index_elements=key, set_={"n": total}))


def _latencies(row: AnswerCount) -> Latencies:
    buckets = Counter({int(bucket): n for bucket, n in row.latency_buckets.items()})
    return Latencies(row.answers, row.latency_sum_ms, row.latency_min_ms, row.latency_max_ms, buckets, row.newest_at)
