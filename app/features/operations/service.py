"""One look at sources, data, queues and jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import FAILED_JOBS_KEPT, STALLED_AFTER_SECONDS
from app.features.after_close.steps import Step
from app.features.operations import crud
from app.features.operations.schemas import (
    ChainStepRead,
    CloseRead,
    DataAgeRead,
    JobCountRead,
    OperationsRead,
    QueueRead,
    SourceErrorRead,
    SourceRead,
)
from app.models.after_close import ChainRun, ChainStep

ENDED_WITHIN = timedelta(days=1)
ORDER = {step.value: place for place, step in enumerate(Step)}


async def look(db: AsyncSession, now: datetime) -> OperationsRead:
    """What the database knows of how the installation is doing."""
    return OperationsRead(
        timestamp=now,
        workers=await crud.live_workers(db, timedelta(seconds=STALLED_AFTER_SECONDS)),
        sources=[SourceRead.model_validate(row) for row in await crud.sources(db)],
        source_errors=[SourceErrorRead.model_validate(row) for row in await crud.source_errors(db, now)],
        data=[DataAgeRead.model_validate(row) for row in await crud.data_age(db)],
        queues=[QueueRead.model_validate(row) for row in await crud.queues(db, failed_after=now - FAILED_JOBS_KEPT)],
        jobs=[
            JobCountRead.model_validate(row) for row in await crud.job_counts(db, now, ended_after=now - ENDED_WITHIN)
        ],
        closes=[_close(run, steps) for run, steps in await crud.newest_closes(db)],
        scored_at=await crud.scored_at(db),
    )


def _close(run: ChainRun, steps: Sequence[ChainStep]) -> CloseRead:
    ordered = sorted(steps, key=lambda step: ORDER[step.step])
    return CloseRead(
        exchange=run.exchange,
        trading_day=run.trading_day,
        opened_at=run.opened_at,
        steps=[ChainStepRead.model_validate(step) for step in ordered],
    )
