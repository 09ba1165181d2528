"""What the tables of other parts say about how the installation is doing; nothing is written."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.after_close import ChainRun, ChainStep
from app.models.market_data import SourceBudget, SourceCircuit, WindowFailure
from app.models.score import ScoredSeries
from app.models.serving_window import ServingWindowRow
from app.models.training_job import JobStatus, TrainingJob

MOST_ERRORS = 50
NEWEST_CLOSES = 10

_QUEUES = text(
    """
SELECT queue_name AS queue, task_name AS task,
       count(*) FILTER (WHERE status = 'todo') AS waiting,
       count(*) FILTER (WHERE status = 'doing') AS running,
       count(*) FILTER (WHERE status = 'failed' AND ended.at > :failed_after) AS failed,
       min(begun.at) FILTER (WHERE status = 'todo') AS oldest_at
FROM procrastinate_jobs AS job
LEFT JOIN LATERAL (
    SELECT max(at) AS at FROM procrastinate_events WHERE job_id = job.id AND type = 'failed'
) AS ended ON job.status = 'failed'
LEFT JOIN LATERAL (
    SELECT min(at) AS at FROM procrastinate_events WHERE job_id = job.id AND type IN ('deferred', 'scheduled')
) AS begun ON job.status = 'todo'
WHERE status IN ('todo', 'doing', 'failed')
GROUP BY queue_name, task_name
HAVING count(*) FILTER (WHERE status <> 'failed' OR ended.at > :failed_after) > 0
ORDER BY queue_name, task_name
"""
)
_WORKERS = text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - CAST(:lately AS interval)")


async def sources(db: AsyncSession) -> Sequence[RowMapping]:
    """Circuit and budget of every source that has either."""
    rows = select(
        func.coalesce(SourceCircuit.source, SourceBudget.source).label("source"),
        func.coalesce(SourceCircuit.state, "closed").label("circuit"),
        func.coalesce(SourceCircuit.failures, 0).label("failures"),
        func.to_timestamp(SourceCircuit.opened_at).label("opened_at"),
        SourceBudget.tokens,
        SourceBudget.filled_at.label("asked_at"),
    ).select_from(SourceCircuit)
    joined = rows.outerjoin(SourceBudget, SourceBudget.source == SourceCircuit.source, full=True)
    return (await db.execute(joined.order_by(text("source")))).mappings().all()


async def source_errors(db: AsyncSession, now: datetime) -> Sequence[RowMapping]:
    """Failures that are still believed, by source and cause; most tickers first."""
    failure = WindowFailure
    count = func.count(failure.ticker.distinct()).label("tickers")
    rows = (
        select(
            failure.source,
            failure.cause,
            count,
            func.min(failure.ticker).label("example"),
            func.array_agg(aggregate_order_by(failure.detail, failure.ticker))[1].label("detail"),
            func.max(failure.expires_at).label("until"),
        )
        .where(failure.expires_at > now)
        .group_by(failure.source, failure.cause)
    )
    ordered = rows.order_by(count.desc(), failure.source, failure.cause).limit(MOST_ERRORS)
    return (await db.execute(ordered)).mappings().all()


async def data_age(db: AsyncSession) -> Sequence[RowMapping]:
    """By exchange and whether a live source keeps it, how far the bars reach."""
    window = ServingWindowRow
    reach = func.max(window.cutoff).over(partition_by=(window.exchange, window.live)).label("newest")
    stored = (
        select(window.exchange, window.live, window.cutoff, window.published_at, reach)
        .where(window.as_of.is_(None))
        .subquery()
    )
    rows = select(
        stored.c.exchange,
        stored.c.live,
        func.count().label("tickers"),
        func.max(stored.c.newest).label("newest"),
        func.count().filter(stored.c.cutoff < stored.c.newest).label("behind"),
        func.max(stored.c.published_at).label("published_at"),
    )
    grouped = rows.group_by(stored.c.exchange, stored.c.live).order_by(stored.c.exchange, stored.c.live)
    return (await db.execute(grouped)).mappings().all()


async def queues(db: AsyncSession, *, failed_after: datetime) -> Sequence[RowMapping]:
    """Jobs of the queue by task: waiting, running, and failed since."""
    return (await db.execute(_QUEUES, {"failed_after": failed_after})).mappings().all()


async def live_workers(db: AsyncSession, lately: timedelta) -> int:
    """Workers with a heartbeat within ``lately``."""
    return int((await db.execute(_WORKERS, {"lately": lately})).scalar_one())


async def job_counts(db: AsyncSession, now: datetime, *, ended_after: datetime) -> Sequence[RowMapping]:
    """Jobs by kind and status; ended ones only since."""
    job = TrainingJob
    abandoned = func.count().filter(job.status == JobStatus.RUNNING, job.lease_until < now)
    rows = (
        select(job.kind, job.status, func.count().label("jobs"), abandoned.label("abandoned"))
        .where((job.finished_at.is_(None)) | (job.finished_at > ended_after))
        .group_by(job.kind, job.status)
        .order_by(job.kind, job.status)
    )
    return (await db.execute(rows)).mappings().all()


async def newest_closes(db: AsyncSession) -> list[tuple[ChainRun, list[ChainStep]]]:
    """The newest runs of what is done after a close, each with its steps."""
    newest = select(ChainRun).order_by(ChainRun.id.desc()).limit(NEWEST_CLOSES)
    runs = (await db.scalars(newest)).all()
    found = await db.scalars(select(ChainStep).where(ChainStep.run_id.in_([run.id for run in runs])))
    steps: dict[int, list[ChainStep]] = {run.id: [] for run in runs}
    for step in found:
        steps[step.run_id].append(step)
    return [(run, steps[run.id]) for run in runs]


async def scored_at(db: AsyncSession) -> Any:
    """When scoring last went through a ticker; None before the first time."""
    return await db.scalar(select(func.max(ScoredSeries.at)))
