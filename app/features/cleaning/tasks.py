"""The daily clean-up. What it needs of the pipeline is imported inside the task."""

import logging
from datetime import UTC, datetime

from procrastinate import App, JobContext

from app.core.jobs import DATA_QUEUE, TRACK_QUEUE, WorkerTools, tools_of

logger = logging.getLogger(__name__)

CLEAN_UP, CLEAN_UP_RUNS = "clean_up", "clean_up_runs"


def add_tasks(app: App) -> None:
    """Let a worker clean up each night."""
    daily = app.task(name=CLEAN_UP, queue=DATA_QUEUE, queueing_lock=CLEAN_UP, lock=CLEAN_UP, pass_context=True)
    app.periodic(cron="51 3 * * *")(daily(clean_up))  # UTC


def add_runs(app: App) -> None:
    """Let a worker whose image has MLflow clean up there each night."""
    daily = app.task(
        name=CLEAN_UP_RUNS, queue=TRACK_QUEUE, queueing_lock=CLEAN_UP_RUNS, lock=CLEAN_UP_RUNS, pass_context=True
    )
    app.periodic(cron="56 3 * * *")(daily(clean_up_runs))


async def clean_up(context: JobContext, timestamp: int) -> None:
    """Everything but what MLflow holds."""
    from app.features.cleaning.items import Kind

    await _clean_up(tools_of(context), timestamp, leave_out=Kind.RUN)


async def clean_up_runs(context: JobContext, timestamp: int) -> None:
    """What MLflow holds."""
    from app.features.cleaning.items import Kind

    await _clean_up(tools_of(context), timestamp, only=Kind.RUN)


async def _clean_up(
    tools: WorkerTools, timestamp: int, *, only: str | None = None, leave_out: str | None = None
) -> None:
    from app.features.cleaning.items import Workplace
    from app.features.cleaning.service import RULES
    from app.features.cleaning.service import clean_up as run

    rules = [rule for rule in RULES if only in (None, rule.kind) and rule.kind != leave_out]
    async with tools.sessions() as db:
        done = await run(
            Workplace(db, tools.settings, datetime.fromtimestamp(timestamp, UTC)), dry_run=False, rules=rules
        )
    logger.info("clean-up: %d things, %d bytes", len(done.items), sum(item.size or 0 for item in done.items))
