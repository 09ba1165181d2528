"""What is counted about callers says nothing after a while and is swept."""

from datetime import UTC, datetime

from procrastinate import App, JobContext
from sqlalchemy import delete, func
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import DATA_QUEUE, tools_of
from app.models.limits import DailyQuota, SignInBrake

SWEEP = "sweep_limits"


def add_tasks(app: App) -> None:
    """Let a worker sweep."""
    task = app.task(name=SWEEP, queue=DATA_QUEUE, queueing_lock=SWEEP, pass_context=True)
    app.periodic(cron="29 * * * *")(task(_sweep))


async def _sweep(context: JobContext, timestamp: int) -> None:
    async with tools_of(context).sessions() as db:
        await sweep(db, datetime.fromtimestamp(timestamp, UTC))


async def sweep(db: AsyncSession, now: datetime) -> None:
    """Delete the counters of days that are over and brakes on which every try is there again, and commit."""
    await db.execute(delete(DailyQuota).where(DailyQuota.day < now.date()))
    await db.execute(delete(SignInBrake).where(SignInBrake.full_at < func.now()))
    await db.commit()
