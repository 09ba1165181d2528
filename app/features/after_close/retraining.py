"""From a rule that asks for a training to what the gate said of its outcome."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.features.after_close import crud, rules
from app.features.after_close.steps import Outcome, Step, pause_after
from app.features.configuration.service import champion_training
from app.features.drift.service import find_report
from app.features.registry import challenges
from app.features.registry.errors import AlreadyChampionError, BundleNotFoundError, ChallengeNotFoundError
from app.features.registry.service import champion_manifest
from app.features.training.service import start_job
from app.models.after_close import ChainRun, StepState
from app.models.training_job import JobKind, JobStatus
from ml_lifecycle.evaluation.gate import Reason
from ml_lifecycle.export.manifest import BundleKind

logger = logging.getLogger(__name__)

ENDED_WITHOUT = (JobStatus.FAILED, JobStatus.CANCELLED)
UNDECIDED = frozenset({Reason.NOT_JUDGED, Reason.CHAMPION_CHANGED})  # nothing was tested, so nothing of alpha is spent


async def decide(db: AsyncSession, tools: WorkerTools, run: ChainRun, *, report: UUID | None) -> Outcome:
    """Write whether a rule asks for a training, start it in the same transaction, and commit.

    A run that has asked for one asks for no other.
    """
    await crud.lock_decisions(db)
    decided = await crud.find_decision(db, run.id)
    if decided is not None and decided.job_id is not None:
        return Outcome({"job": str(decided.job_id), "reason": decided.reason})
    verdict = rules.judge(tools.settings, await known_now(db, tools.clock(), report))
    job_id = await _start(db, run, verdict.reason) if verdict.train else None
    await crud.put_decision(db, run.id, {**_kept(verdict), "report_id": report, "job_id": job_id})
    gate = StepState.SKIPPED if job_id is None else StepState.WAITING
    await crud.settle(db, run.id, Step.GATE, gate, finished_at=None if job_id else tools.clock())
    await db.commit()
    return Outcome({"job": job_id and str(job_id), "rules": list(verdict.rules), "reason": verdict.reason})


async def decide_here(
    db: AsyncSession, tools: WorkerTools, *, asked_by: str | None, report: UUID | None
) -> rules.Verdict:
    """Write whether this process is to train, and commit before it does: no other decision asks for a second one.

    Parameters
    ----------
    asked_by : who wants it whatever the rules say; None: the rules decide.
    """
    await crud.lock_decisions(db)
    verdict = rules.judge(tools.settings, await known_now(db, tools.clock(), report))
    if asked_by is not None:
        verdict = replace(verdict, train=True, reason=f"asked for by {asked_by}")
    await crud.add_decision(db, {**_kept(verdict), "report_id": report})
    await db.commit()
    return verdict


async def follow_trainings(tools: WorkerTools) -> None:
    """Have what a rule's training brought judged by the gate, which promotes it if it passes; note how that ended.

    Looked at every minute: what ends a training is another process, which may be killed just then. What goes wrong with
    one training keeps no other waiting.
    """
    async with tools.sessions() as db:
        waiting = await crud.decisions_to_follow(db)
    for decision_id in waiting:
        try:
            async with tools.sessions() as db:
                await _follow(db, tools, decision_id)
        except Exception:  # whatever it is, the other trainings are followed
            logger.exception("what retrain decision %d brought could not be followed; in a minute again", decision_id)


async def known_now(db: AsyncSession, now: datetime, report_id: UUID | None) -> rules.Known:
    """What the rules judge from."""
    _, manifest = await champion_manifest(db)
    trained = manifest["kind"] != BundleKind.REFERENCE
    report = None if report_id is None else await find_report(db, report_id)
    return rules.Known(
        now=now,
        champion_made_at=datetime.fromisoformat(manifest["created_at"]) if trained else None,
        asked_at=await crud.newest_asking(db),
        under_way=await crud.is_training(db),
        causes=() if report is None else report.causes,
        drift_reason="" if report is None else report.reason,
    )


def _kept(verdict: rules.Verdict) -> dict[str, Any]:
    return {"trains": verdict.train, "rules": list(verdict.rules), "reason": verdict.reason}


async def _start(db: AsyncSession, run: ChainRun, reason: str) -> UUID:
    content, tickers = await champion_training(db)
    told = f"after {run.exchange} {run.trading_day}: {reason}"
    spec = {"content": content, "tickers": tickers}
    return (await start_job(db, kind=JobKind.TRAIN, spec=spec, owner=None, reason=told)).id


async def _follow(db: AsyncSession, tools: WorkerTools, decision_id: int) -> None:
    """One training: nothing yet, its end without a bundle, its challenge, or what the gate said."""
    of = await crud.lock_training(db, decision_id)
    if of is None:
        return
    job, challenge_id = of.job, of.decision.challenge_id
    if job.status in ENDED_WITHOUT:
        why = {"why": f"training {job.status}: {job.failure or 'by a person'}"}
        await _settle(db, tools, of, StepState.SKIPPED, why)
    elif challenge_id is not None:
        await _hear(db, tools, of, challenge_id)
    elif job.status == JobStatus.SUCCEEDED:
        await _challenge(db, tools, of, str((job.result or {})["bundle"]))


async def _challenge(db: AsyncSession, tools: WorkerTools, of: crud.Followed, bundle_id: str) -> None:
    """Ask the gate; that it was asked is kept in the same commit, or a kill between would have it test twice."""
    try:
        challenge_id = await challenges.enqueue(db, bundle_id, by=f"after close: {of.decision.reason}")
    except AlreadyChampionError:  # somebody promoted it meanwhile
        await _settle(db, tools, of, StepState.DONE, {"bundle": bundle_id, "gate": "champion already"})
        return
    except BundleNotFoundError as error:
        await _settle(db, tools, of, StepState.SKIPPED, {"bundle": bundle_id, "why": str(error)})
        return
    of.decision.challenge_id = challenge_id
    await crud.begin(db, of.run_id, Step.GATE, tools.clock())
    await db.commit()


async def _hear(db: AsyncSession, tools: WorkerTools, of: crud.Followed, challenge_id: UUID) -> None:
    """What the gate said, if it has; what it could not decide is asked again later."""
    try:
        challenge = await challenges.read(db, challenge_id)
    except ChallengeNotFoundError as error:
        await _ask_later(db, tools, of, str(error))
        return
    if challenge.status == "broken_off":
        await _ask_later(db, tools, of, f"challenge {challenge_id} broke off")
    elif challenge.decision is not None:
        verdict = challenge.decision.verdict
        if UNDECIDED.intersection(verdict["reasons"]):
            await _ask_later(db, tools, of, f"{verdict['refusal']}: {verdict['detail']}")
            return
        told = {"challenge": str(challenge_id), "bundle": challenge.bundle_id, "gate": challenge.status}
        await _settle(db, tools, of, StepState.DONE, told)


async def _ask_later(db: AsyncSession, tools: WorkerTools, of: crud.Followed, why: str) -> None:
    """As a step that failed: after pauses that grow, until ``MOST_ATTEMPTS`` were in vain."""
    now = tools.clock()
    steps = {each.step: each for each in await crud.list_steps(db, of.run_id)}
    pause = pause_after(steps[Step.GATE].attempts)
    due_at = None if pause is None else now + pause
    told = {"challenge": str(of.decision.challenge_id)}
    of.decision.challenge_id = None if due_at else of.decision.challenge_id
    await crud.settle(
        db,
        of.run_id,
        Step.GATE,
        StepState.FAILED,
        error=why[:500],
        due_at=due_at,
        outcome=told,
        finished_at=now,
    )
    await db.commit()


async def _settle(
    db: AsyncSession, tools: WorkerTools, of: crud.Followed, state: StepState, outcome: dict[str, str]
) -> None:
    await crud.settle(db, of.run_id, Step.GATE, state, outcome=outcome, finished_at=tools.clock())
    await db.commit()
