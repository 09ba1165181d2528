"""After a close: each step once, whoever dies; what fails is tried later and keeps nothing else waiting."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from procrastinate import App
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import DATA_QUEUE, WorkerTools, open_queue
from app.features.after_close import retraining, service, tasks
from app.features.after_close.steps import Step
from app.features.market_data import collecting
from app.features.market_data.service import publish_windows
from app.features.registry import tasks as registry_tasks
from app.features.registry.service import ensure_reference_champion
from app.features.training.service import start_job
from app.models import ChainRun, ChainStep, Forecast, RetrainDecision, ServingWindowRow, TrainingJob
from app.worker import restart_stalled_jobs
from data_pipeline.sources.base import SourceNetworkError
from tests.app import networks
from tests.app.scripted_source import ScriptedSource
from tests.app.windows import make_window

FRIDAY = date(2013, 3, 1)
CLOSE = datetime(2013, 3, 1, 21, tzinfo=UTC)
LEFT_BEHIND = """
WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id)
UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead) WHERE status = 'todo'
"""
WAITING = """
SELECT coalesce(args->>'step', task_name) FROM procrastinate_jobs
WHERE status = 'todo' AND queue_name = 'data' ORDER BY id
"""


class Clock:
    """An instant that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Worker:
    """What runs jobs, and its clock."""

    def __init__(self, app: App, tools: WorkerTools, clock: Clock) -> None:
        self.app, self.tools, self.clock = app, tools, clock

    async def look(self, *, minutes_after_close: float = 61) -> None:
        """What the periodic job does."""
        self.clock.now = CLOSE + timedelta(minutes=minutes_after_close)
        await service.look_at_closes(self.tools)

    async def work(self, *, workers: int = 1) -> None:
        """Run all that waits, and what that enqueues."""
        run, context = self.app.run_worker_async, {"tools": self.tools}
        options: dict[str, Any] = {"wait": False, "install_signal_handlers": False, "additional_context": context}
        while await self._waiting():
            await asyncio.gather(*(run(queues=[DATA_QUEUE], concurrency=2, **options) for _ in range(workers)))

    async def _waiting(self) -> bool:
        async with self.tools.sessions() as db:
            return bool(await jobs(db))


@pytest.fixture
async def worker(settings: Settings, db: AsyncSession) -> AsyncIterator[Worker]:
    """With the tasks of the chain and of the gate, and the reference as champion."""
    await ensure_reference_champion(db, settings)
    clock = Clock(CLOSE)
    async with open_queue(settings) as (app, tools):
        tasks.add_tasks(app)
        registry_tasks.add_tasks(app)
        app.periodic_registry.periodic_tasks.clear()  # nothing but what the test asks for
        yield Worker(app, WorkerTools(settings, tools.sessions, clock=clock), clock)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ScriptedSource:
    """A live source that has Friday's bars."""
    scripted = ScriptedSource(live=True, bars={"AAPL": 300, "IBM": 300})
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: scripted)
    return scripted


async def publish(db: AsyncSession, *tickers: str, live: bool = True) -> None:
    """Tickers that end on Thursday."""
    await publish_windows(db, [make_window(ticker, cutoff=date(2013, 2, 28), live=live) for ticker in tickers])


async def steps(db: AsyncSession, day: date = FRIDAY) -> dict[str, ChainStep]:
    """How the run of a day stands."""
    found = select(ChainStep).join(ChainRun).where(ChainRun.trading_day == day)
    rows = (await db.scalars(found.execution_options(populate_existing=True))).all()
    await db.commit()
    return {row.step: row for row in rows}


async def states(db: AsyncSession, day: date = FRIDAY) -> dict[str, str]:
    """Their states alone."""
    return {name: step.state for name, step in (await steps(db, day)).items()}


async def jobs(db: AsyncSession) -> list[str]:
    """What waits in the queue."""
    found = await db.scalars(text(WAITING))
    waiting = list(found)
    await db.commit()
    return waiting


DONE = {
    "collect": "done",
    "score": "done",
    "precompute": "done",
    "drift": "skipped",
    "retrain": "done",
    "gate": "skipped",
}


async def test_an_hour_after_the_close_the_chain_runs_to_its_end(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """Half an hour after it, it is still Thursday's, of which nothing is lacking."""
    await publish(db, "AAPL", "IBM")
    await worker.look(minutes_after_close=30)
    assert (await steps(db)) == {}
    await worker.work()
    assert source.asked == []
    assert await states(db, date(2013, 2, 28)) == DONE

    await worker.look()
    await worker.look()
    assert await jobs(db) == ["collect"]
    await worker.work()

    assert await states(db) == DONE
    assert source.asked == ["AAPL", "IBM"]
    assert set(await db.scalars(select(ServingWindowRow.cutoff))) == {FRIDAY}
    assert await db.scalar(select(func.count()).where(Forecast.cutoff == FRIDAY)) == 2
    decision = (await db.scalars(select(RetrainDecision).order_by(RetrainDecision.id.desc()))).first()
    assert decision is not None
    assert decision.reason == "the champion is the reference: people ask for the first training"


async def test_bars_from_files_and_samples_start_nothing(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """Nothing live is asked for them, and no run is opened."""
    await publish(db, "AAPL", live=False)

    await worker.look()

    assert await jobs(db) == []
    assert (await db.scalars(select(ChainRun))).all() == []


async def test_two_workers_at_once_do_each_step_once(db: AsyncSession, worker: Worker, source: ScriptedSource) -> None:
    """However often and by whomever it was looked at the closes."""
    await publish(db, "AAPL", "IBM")
    worker.clock.now = CLOSE + timedelta(minutes=61)

    await asyncio.gather(*(service.look_at_closes(worker.tools) for _ in range(3)))
    await worker.work(workers=2)

    assert await states(db) == DONE
    assert source.asked == ["AAPL", "IBM"]
    assert {step.attempts for name, step in (await steps(db)).items() if name != "gate"} == {1}


async def test_a_step_that_is_settled_is_not_done_by_a_job_that_comes_late(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """Such as one that was enqueued while the other ran."""
    await publish(db, "AAPL")
    source.cutoff = date(2013, 2, 28)
    await worker.look()
    await worker.work()
    before = await steps(db)

    for step in Step:
        if step is not Step.GATE:
            await service.run_step(worker.tools, before[step].run_id, step)

    assert source.asked == ["AAPL"]
    assert {name: each.attempts for name, each in (await steps(db)).items()} == {
        name: 0 if name == "gate" else 1 for name in before
    }


async def test_a_source_that_is_away_keeps_nothing_else_waiting_and_is_asked_again(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """One ticker came; the other ten minutes later, and what stands on bars is done again."""
    await publish(db, "AAPL", "IBM")
    source.errors["IBM"] = SourceNetworkError("IBM", "scripted", "connection timed out")
    await worker.look()
    await worker.work()

    failed = (await steps(db))["collect"]
    assert await states(db) == {**DONE, "collect": "failed"}
    assert failed.outcome == {"asked": 2, "came": 1, "failed": 1, "without_bar": 0}
    assert failed.error == "1 of 1 that lack a bar failed; IBM: connection timed out"
    assert failed.due_at == worker.clock.now + timedelta(minutes=10)
    assert await db.scalar(select(func.count()).where(Forecast.cutoff == FRIDAY)) == 1

    source.errors.clear()
    await db.execute(text("UPDATE window_failures SET expires_at = now()"))
    await db.commit()
    await worker.look(minutes_after_close=65)
    assert await jobs(db) == []
    await worker.look(minutes_after_close=72)
    await worker.work()

    assert await states(db) == DONE
    assert source.asked == ["AAPL", "IBM", "IBM"]
    assert await db.scalar(select(func.count()).where(Forecast.cutoff == FRIDAY)) == 2


async def test_what_is_tried_in_vain_ends_before_the_next_close(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """A ticker without a bar of the day, as a suspended one has none: asked six times, told, given up."""
    await publish(db, "AAPL")
    source.cutoff = date(2013, 2, 28)
    for minutes in (61, 72, 95, 140, 225, 390, 2000):
        await worker.look(minutes_after_close=minutes)
        await worker.work()

    collect = (await steps(db))["collect"]
    assert (collect.state, collect.attempts, collect.due_at) == ("failed", 6, None)
    assert collect.error == "no bar yet of AAPL"
    assert collect.outcome == {"asked": 1, "came": 0, "failed": 0, "without_bar": 1}


async def test_a_step_that_fails_in_a_way_that_nobody_foresaw_is_told_and_the_others_go_on(
    db: AsyncSession, worker: Worker, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score is lacking; forecasts are made all the same; a later run sets it right."""
    await publish(db, "AAPL")

    async def broken(*_: Any) -> Any:
        raise KeyError("nobody foresaw this")

    kept = dict(service.WORK)
    monkeypatch.setattr(service, "WORK", {**kept, Step.SCORE: broken})
    await worker.look()
    await worker.work()
    failed = (await steps(db))["score"]
    monkeypatch.setattr(service, "WORK", kept)
    await worker.look(minutes_after_close=72)
    await worker.work()

    assert (failed.state, failed.error) == ("failed", "KeyError: 'nobody foresaw this'")
    assert await db.scalar(select(func.count()).where(Forecast.cutoff == FRIDAY)) == 1
    assert await states(db) == DONE


async def test_a_worker_that_wakes_late_does_not_overwrite_what_another_one_did(
    db: AsyncSession, worker: Worker, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its attempt stood still, a second one came to its end; the first then fails."""
    await publish(db, "AAPL")
    kept = dict(service.WORK)

    async def stalled(tools: WorkerTools, run: ChainRun) -> Any:
        monkeypatch.setattr(service, "WORK", kept)
        await service.run_step(tools, run.id, Step.SCORE)
        raise ConnectionError("the connection was lost long ago")

    monkeypatch.setattr(service, "WORK", {**kept, Step.SCORE: stalled})
    await worker.look()
    await worker.work()

    score = (await steps(db))["score"]
    assert (score.state, score.attempts, score.error) == ("done", 2, None)
    assert await states(db) == DONE


@pytest.mark.parametrize("what_is_left", ["a job that stands still", "no job at all"])
async def test_what_a_killed_worker_left_goes_on(
    what_is_left: str, db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """The step was running; its job stands still, or is gone with it."""
    await publish(db, "AAPL")
    await worker.look()
    await db.execute(update(ChainStep).where(ChainStep.step == "collect").values(state="running", attempts=1))
    await db.execute(
        text(LEFT_BEHIND if what_is_left == "a job that stands still" else "DELETE FROM procrastinate_jobs")
    )
    await db.commit()
    await worker.work()
    assert (await states(db))["collect"] == "running"

    await restart_stalled_jobs(worker.app)
    await worker.look(minutes_after_close=71)
    await worker.work()

    assert await states(db) == DONE
    assert (await steps(db))["collect"].attempts == 2


async def test_the_next_close_takes_over_what_the_last_one_lacked(
    db: AsyncSession, worker: Worker, source: ScriptedSource
) -> None:
    """Bars of both days come with one asking."""
    await publish(db, "AAPL")
    source.errors["AAPL"] = SourceNetworkError("AAPL", "scripted", "connection timed out")
    await worker.look()
    await worker.work()
    assert (await steps(db))["collect"].due_at is not None

    await worker.look(minutes_after_close=61 + 3 * 24 * 60)

    assert (await steps(db))["collect"].due_at is None
    assert (await states(db, date(2013, 3, 4)))["collect"] == "waiting"


async def old_network(db: AsyncSession, settings: Settings) -> str:
    """A champion that a rule wants to train anew; it knows no training distribution."""
    bundle = await networks.register(db, networks.write_network(settings.bundles))
    await networks.promote(db, bundle)
    return bundle


async def decided(
    db: AsyncSession, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> tuple[RetrainDecision, TrainingJob]:
    """A run whose champion is old; what was decided, and the training."""

    async def content(_: AsyncSession) -> tuple[dict[str, Any], list[str]]:
        return {"name": "default"}, ["AAPL"]

    monkeypatch.setattr(retraining, "champion_training", content)
    await service_run(db, worker)
    decision = (await db.scalars(select(RetrainDecision))).one()
    job = (await db.scalars(select(TrainingJob))).one()
    return decision, job


async def service_run(db: AsyncSession, worker: Worker) -> None:
    """The chain of a close long after the champion was made."""
    await publish(db, "AAPL")
    worker.clock.now = datetime.now(UTC) + timedelta(days=3650)
    async with worker.tools.sessions() as other:
        run_id = await service.crud.open_run(other, "XNYS", FRIDAY, worker.clock.now)
        assert run_id is not None
        await service.advance(other, run_id)
        await other.commit()
    await worker.work()


async def test_a_rule_starts_one_training_and_its_reason_is_kept(
    db: AsyncSession, worker: Worker, source: ScriptedSource, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owned by nobody; a step that is done again, and the run of another exchange, start no second one."""
    await old_network(db, settings)

    decision, job = await decided(db, worker, monkeypatch)

    assert decision.rules == ["schedule"]
    assert (job.kind, job.owner_id, job.spec) == ("train", None, {"content": {"name": "default"}, "tickers": ["AAPL"]})
    assert job.reason == "after XNYS 2013-03-01: schedule: 30 days have gone by"
    assert (await states(db))["gate"] == "waiting"
    async with worker.tools.sessions() as other:
        other_run = await service.crud.open_run(other, "BVMF", FRIDAY, worker.clock.now)
        assert other_run is not None
        await other.commit()
        for run_id in (decision.run_id, other_run):
            run = await service.crud.find_run(other, run_id)
            await retraining.decide(other, worker.tools, run, report=None)
    second = (await db.scalars(select(RetrainDecision).where(RetrainDecision.run_id == other_run))).one()
    assert second.job_id is None
    assert second.reason.startswith("a training is under way already; schedule")
    assert await db.scalar(select(func.count()).select_from(TrainingJob)) == 1
    await db.refresh(decision)
    assert decision.job_id == job.id


async def trained(db: AsyncSession, settings: Settings, job_id: UUID, *, lookback: int = 40) -> str:
    """What a training left: a bundle, registered."""
    spec = networks.SPEC.model_copy(update={"lookback": lookback})
    bundle = await networks.register(db, networks.write_network(settings.bundles, spec))
    await end(db, job_id, status="succeeded", result={"bundle": bundle})
    return bundle


async def test_what_was_trained_is_judged_by_the_gate_and_the_run_tells_its_word(
    db: AsyncSession, worker: Worker, source: ScriptedSource, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing while it trains; no verdict while the bars are away; then the one that ends the run."""
    await old_network(db, settings)
    _, job = await decided(db, worker, monkeypatch)
    await retraining.follow_trainings(worker.tools)
    assert (await states(db))["gate"] == "waiting"
    bundle = await trained(db, settings, job.id)
    store = settings.home / "bars"
    away = store.rename(store.with_name("away"))

    for _ in range(2):
        await retraining.follow_trainings(worker.tools)
        assert (await states(db))["gate"] == "running"
    await worker.work()
    await retraining.follow_trainings(worker.tools)

    gate = (await steps(db))["gate"]
    assert (gate.state, gate.due_at) == ("failed", worker.clock.now + timedelta(minutes=10))
    assert gate.error is not None
    assert gate.error.startswith("not_judged: ")
    assert await db.scalar(text("SELECT count(*) FROM challenges")) == 1

    away.rename(store)
    await due(db, worker)
    for _ in range(2):
        await retraining.follow_trainings(worker.tools)
        await worker.work()
    gate = (await steps(db))["gate"]
    assert (gate.state, gate.attempts) == ("done", 2)
    assert gate.outcome is not None
    assert (gate.outcome["bundle"], gate.outcome["gate"]) == (bundle, "refused")
    assert await db.scalar(text("SELECT count(*) FROM challenges")) == 2


async def test_a_challenge_that_broke_off_is_asked_for_again_but_not_for_ever(
    db: AsyncSession, worker: Worker, source: ScriptedSource, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job of the gate failed, or is gone with the queue's old jobs."""
    await old_network(db, settings)
    decision, job = await decided(db, worker, monkeypatch)
    await trained(db, settings, job.id)
    challenges = []

    for lost in ("UPDATE procrastinate_jobs SET status = 'failed'", "DELETE FROM procrastinate_jobs"):
        await retraining.follow_trainings(worker.tools)
        await db.refresh(decision)
        challenges.append(decision.challenge_id)
        await db.execute(text(f"{lost} WHERE task_name = 'challenge'"))
        await db.commit()
        await retraining.follow_trainings(worker.tools)
        assert (await steps(db))["gate"].due_at == worker.clock.now + timedelta(minutes=10 * len(challenges))
        await due(db, worker)
    assert None not in challenges
    assert len(set(challenges)) == 2

    await db.execute(update(ChainStep).where(ChainStep.step == "gate").values(attempts=5))
    await db.commit()
    await retraining.follow_trainings(worker.tools)
    await db.execute(text("DELETE FROM procrastinate_jobs"))
    await db.commit()
    await retraining.follow_trainings(worker.tools)
    gate = (await steps(db))["gate"]
    assert (gate.state, gate.attempts, gate.due_at) == ("failed", 6, None)


async def test_a_kill_before_the_commit_has_asked_nothing_and_holds_up_no_other_training(
    db: AsyncSession, worker: Worker, source: ScriptedSource, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate spends alpha: it is asked once for each training."""
    await old_network(db, settings)
    _, job = await decided(db, worker, monkeypatch)
    first = await trained(db, settings, job.id)
    async with worker.tools.sessions() as other:
        run_id = await service.crud.open_run(other, "BVMF", FRIDAY, worker.clock.now)
        assert run_id is not None
        second_job = await start_job(other, kind="train", spec={}, owner=None, reason="a test")
        values = {"trains": True, "rules": [], "reason": "a test", "job_id": second_job.id}
        await service.crud.put_decision(other, run_id, values)
        await other.commit()
    second = await trained(db, settings, second_job.id, lookback=41)
    enqueue = retraining.challenges.enqueue

    async def killed(other: AsyncSession, bundle_id: str, *, by: str) -> UUID:
        challenge_id = await enqueue(other, bundle_id, by=by)
        if bundle_id == first:
            raise ConnectionError("killed")
        return challenge_id

    monkeypatch.setattr(retraining.challenges, "enqueue", killed)
    await retraining.follow_trainings(worker.tools)
    assert await challenged(db) == [second]

    monkeypatch.setattr(retraining.challenges, "enqueue", enqueue)
    for _ in range(2):
        await retraining.follow_trainings(worker.tools)
    assert await challenged(db) == [second, first]


async def challenged(db: AsyncSession) -> list[str]:
    """Bundles that wait for the gate."""
    found = await db.scalars(
        text("SELECT args->>'bundle_id' FROM procrastinate_jobs WHERE task_name = 'challenge' ORDER BY id")
    )
    waiting = list(found)
    await db.commit()
    return waiting


async def due(db: AsyncSession, worker: Worker) -> None:
    """The time has come for what failed."""
    await db.execute(update(ChainStep).where(ChainStep.due_at.is_not(None)).values(due_at=worker.clock.now))
    await service.crud.wake_due(db, worker.clock.now)
    await db.commit()


async def test_a_training_that_failed_ends_the_run_with_its_reason(
    db: AsyncSession, worker: Worker, source: ScriptedSource, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old_network(db, settings)
    _, job = await decided(db, worker, monkeypatch)
    await end(db, job.id, status="failed", failure="the disk is full")

    await retraining.follow_trainings(worker.tools)

    gate = (await steps(db))["gate"]
    assert (gate.state, gate.outcome) == ("skipped", {"why": "training failed: the disk is full"})


async def end(db: AsyncSession, job_id: UUID, **values: Any) -> None:
    """What the worker of the queue `train` writes."""
    await db.execute(update(TrainingJob).where(TrainingJob.id == job_id).values(finished_at=func.now(), **values))
    await db.commit()
