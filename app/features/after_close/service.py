"""The chain after each close: a row for each run and step, so that whatever dies, what is left to do is known."""

import logging

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools, defer
from app.features.after_close import crud
from app.features.after_close.steps import Outcome, Step, after, pause_after, ready
from app.features.after_close.work import WORK
from app.features.market_data.closes import final_days
from app.models.after_close import ChainRun, StepState

logger = logging.getLogger(__name__)

STEP_TASK = "after_close_step"


async def look_at_closes(tools: WorkerTools) -> None:
    """Open a run for each exchange that has become final, begin again what is due, and what a dead worker left.

    Only exchanges of which tickers are stored that a live source keeps up to date have runs.
    """
    now = tools.clock()
    async with tools.sessions() as db:
        for exchange, day in (await final_days(db, tools.settings, now)).items():
            if await crud.open_run(db, exchange, day, now) is not None:
                await crud.give_up_older(db, exchange, day)
        await crud.wake_due(db, now)
        for run_id in await crud.open_runs(db):
            await advance(db, run_id, again=True)
        await db.commit()


async def run_step(tools: WorkerTools, run_id: int, step: Step) -> None:
    """Do one step, unless it is settled, and enqueue what can begin then; the queue runs no two of one step at once."""
    async with tools.sessions() as db:
        run = await crud.find_run(db, run_id)
        attempt = await crud.begin(db, run_id, step, tools.clock())
        await db.commit()
    if attempt is None:
        return
    outcome, error = await attempt_step(tools, run, step)
    async with tools.sessions() as db:
        await crud.states(db, run_id)  # locks all steps in their order: of two that end at once each would hold one
        if not await settle(db, tools, run_id, step, attempt, outcome, error):
            logger.warning("attempt %d at %s of run %d ended late: another one counts", attempt, step, run_id)
            return
        if attempt > 1 and outcome.news:
            await crud.wait_again(db, run_id, after(step))
        await advance(db, run_id)
        await db.commit()


async def attempt_step(tools: WorkerTools, run: ChainRun, step: Step) -> tuple[Outcome, str | None]:
    """What a step did, and why it is not done; what goes wrong in one keeps no other from going on."""
    try:
        outcome = await WORK[step](tools, run)
    except Exception as error:  # whatever it is, the run says so, and the step is tried again
        logger.exception("%s after %s %s failed", step, run.exchange, run.trading_day)
        lines = str(error).strip().splitlines()
        return Outcome(news=False), f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]
    return outcome, outcome.lacking


async def settle(
    db: AsyncSession,
    tools: WorkerTools,
    run_id: int,
    step: Step,
    attempt: int,
    outcome: Outcome,
    error: str | None,
) -> bool:
    """Write how an attempt ended, and when there is another; False, and nothing: it is not the newest one any more."""
    now = tools.clock()
    ended = {"outcome": dict(outcome.figures), "finished_at": now}
    if error is None:
        state = StepState.SKIPPED if outcome.skipped else StepState.DONE
        return await crud.settle(db, run_id, step, state, attempt=attempt, **ended)
    pause = pause_after(attempt)
    due_at = None if pause is None else now + pause
    return await crud.settle(db, run_id, step, StepState.FAILED, attempt=attempt, error=error, due_at=due_at, **ended)


async def advance(db: AsyncSession, run_id: int, *, again: bool = False) -> None:
    """Enqueue the steps that wait for nothing any more; what waits in the queue already is not enqueued again.

    ``again``: those that run, too. Where their worker lives, another job of theirs finds nothing to do.
    """
    for step in ready(await crud.states(db, run_id), again=again):
        await defer(db, STEP_TASK, lock=f"{STEP_TASK}:{run_id}:{step}", run_id=run_id, step=step.value)
