"""Rows of runs, steps and decisions; the caller commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.after_close.steps import Step
from app.models.after_close import ChainRun, ChainStep, RetrainDecision, StepState
from app.models.training_job import JobKind, JobStatus, TrainingJob

RETRAIN_LOCK = 0x72657472  # any number, the same for every worker
OPEN = (StepState.WAITING, StepState.RUNNING)


@dataclass(frozen=True)
class Followed:
    """A decision after a close that asked for a training, with the training."""

    run_id: int
    decision: RetrainDecision
    job: TrainingJob


async def open_run(db: AsyncSession, exchange: str, day: date, now: datetime) -> int | None:
    """Insert a run with its steps; gives its id, or None where there is one already."""
    row = insert(ChainRun).values(exchange=exchange, trading_day=day, opened_at=now).on_conflict_do_nothing()
    run_id = await db.scalar(row.returning(ChainRun.id))
    if run_id is not None:
        await db.execute(insert(ChainStep), [{"run_id": run_id, "step": step.value} for step in Step])
    return run_id


async def find_run(db: AsyncSession, run_id: int) -> ChainRun:
    """One run."""
    return await db.get_one(ChainRun, run_id)


async def states(db: AsyncSession, run_id: int) -> dict[Step, StepState]:
    """How each step of a run stands; nobody else settles one of them until the transaction ends."""
    rows = select(ChainStep.step, ChainStep.state).where(ChainStep.run_id == run_id)
    found = await db.execute(rows.order_by(ChainStep.step).with_for_update())
    return {Step(step): StepState(state) for step, state in found}


async def list_steps(db: AsyncSession, run_id: int) -> Sequence[ChainStep]:
    """The steps of a run."""
    return (await db.scalars(select(ChainStep).where(ChainStep.run_id == run_id))).all()


async def begin(db: AsyncSession, run_id: int, step: Step, now: datetime) -> int | None:
    """Note that a step is begun; gives the number of the attempt, or None where it is settled."""
    return await db.scalar(
        update(ChainStep)
        .where(ChainStep.run_id == run_id, ChainStep.step == step, ChainStep.state.in_(OPEN))
        .values(state=StepState.RUNNING, attempts=ChainStep.attempts + 1, started_at=now, finished_at=None)
        .returning(ChainStep.attempts)
    )


async def settle(
    db: AsyncSession, run_id: int, step: Step, state: StepState, *, attempt: int | None = None, **values: Any
) -> bool:
    """Write how a step stands; ``values`` are columns. False where ``attempt`` is told and is not the one that runs."""
    named = {"due_at": None, "error": None, **values}
    those = [ChainStep.run_id == run_id, ChainStep.step == step]
    if attempt is not None:
        those += [ChainStep.attempts == attempt, ChainStep.state == StepState.RUNNING]
    changed = update(ChainStep).where(*those).values(state=state, **named).returning(ChainStep.step)
    return await db.scalar(changed) is not None


async def wait_again(db: AsyncSession, run_id: int, steps: Sequence[Step]) -> None:
    """Have settled steps wait to be done again, as if for the first time."""
    those = (ChainStep.run_id == run_id, ChainStep.step.in_(steps), ChainStep.state.not_in(OPEN))
    await db.execute(update(ChainStep).where(*those).values(state=StepState.WAITING, attempts=0, due_at=None))


async def wake_due(db: AsyncSession, now: datetime) -> None:
    """Have the failed steps whose time has come wait again."""
    await db.execute(update(ChainStep).where(ChainStep.due_at <= now).values(state=StepState.WAITING, due_at=None))


async def give_up_older(db: AsyncSession, exchange: str, day: date) -> None:
    """Leave the bars of earlier closes of an exchange to the present one; trainings and their gate go on."""
    older = select(ChainRun.id).where(ChainRun.exchange == exchange, ChainRun.trading_day < day)
    left = ChainStep.run_id.in_(older) & (ChainStep.step != Step.GATE)
    await db.execute(update(ChainStep).where(left, ChainStep.due_at.is_not(None)).values(due_at=None))
    await db.execute(
        update(ChainStep).where(left, ChainStep.state == StepState.WAITING).values(state=StepState.SKIPPED)
    )


async def open_runs(db: AsyncSession) -> Sequence[int]:
    """Runs with a step that waits or runs."""
    waiting = select(ChainStep.run_id).where(ChainStep.state.in_(OPEN), ChainStep.step != Step.GATE)
    return (await db.scalars(waiting.distinct().order_by(ChainStep.run_id))).all()


async def lock_decisions(db: AsyncSession) -> None:
    """Wait until no other transaction decides about a training."""
    await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": RETRAIN_LOCK})


async def find_decision(db: AsyncSession, run_id: int) -> RetrainDecision | None:
    """What was decided after a close."""
    return await db.scalar(select(RetrainDecision).where(RetrainDecision.run_id == run_id))


async def add_decision(db: AsyncSession, values: Mapping[str, Any]) -> None:
    """Write what was decided without a close."""
    await db.execute(insert(RetrainDecision).values(**values))


async def put_decision(db: AsyncSession, run_id: int, values: Mapping[str, Any]) -> None:
    """Write what was decided, in the place of what was decided before the step was done again."""
    row = insert(RetrainDecision).values(run_id=run_id, **values)
    changed = {**values, "decided_at": func.clock_timestamp()}
    await db.execute(row.on_conflict_do_update(index_elements=[RetrainDecision.run_id], set_=changed))


async def newest_asking(db: AsyncSession) -> datetime | None:
    """When a training was last asked for, by a rule or by `closecast pipeline`."""
    return await db.scalar(select(func.max(RetrainDecision.decided_at)).where(RetrainDecision.trains))


async def is_training(db: AsyncSession) -> bool:
    """Whether a training that nobody in particular asked for waits or runs."""
    kinds, open_ones = (JobKind.TRAIN, JobKind.UPDATE), (JobStatus.QUEUED, JobStatus.RUNNING)
    found = select(TrainingJob.id).where(
        TrainingJob.owner_id.is_(None), TrainingJob.kind.in_(kinds), TrainingJob.status.in_(open_ones)
    )
    return await db.scalar(found.limit(1)) is not None


async def decisions_to_follow(db: AsyncSession) -> Sequence[int]:
    """Decisions that asked for a training whose gate has not been settled, the oldest first."""
    waiting = (
        select(RetrainDecision.id)
        .join(ChainStep, (ChainStep.run_id == RetrainDecision.run_id) & (ChainStep.step == Step.GATE))
        .where(RetrainDecision.job_id.is_not(None), ChainStep.state.in_(OPEN))
    )
    return (await db.scalars(waiting.order_by(RetrainDecision.id))).all()


async def lock_training(db: AsyncSession, decision_id: int) -> Followed | None:
    """A decision and the training that it asked for; None where another transaction is at it already."""
    found = (
        select(ChainRun.id, RetrainDecision, TrainingJob)
        .join(RetrainDecision, RetrainDecision.run_id == ChainRun.id)
        .join(TrainingJob, TrainingJob.id == RetrainDecision.job_id)
        .where(RetrainDecision.id == decision_id)
        .with_for_update(of=RetrainDecision, skip_locked=True)
    )
    row = (await db.execute(found)).one_or_none()
    return None if row is None else Followed(*row)
