"""A job in its own process: what it tells, how it ends, and what is left when it, or its worker, is killed."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import TRAIN_QUEUE, WorkerTools, defer, open_queue
from app.features.training import child, crud, service, tasks
from app.features.training.running import jobs_dir, run_attempt
from app.features.training.tasks import look_once
from app.models.training_job import TrainingJob
from tests.app.features.training.conftest import LEASE_SECONDS, StartWorker, is_alive, kill
from tests.faults.processes import children_of

Sessions = async_sessionmaker[AsyncSession]
FORGET_KEYS = "forget_keys"  # a quick job of the queue `data`
QUICK = {"steps": 3, "step_seconds": 0.05, "history_used": 940}
SILENCE_MINUTES = 0.1  # 6 s: processes start in less, on a busy machine too
LONGER_THAN_SILENCE = {"steps": 14, "step_seconds": 0.5, "history_used": 940}
ENDLESS = {"steps": 1_000, "step_seconds": 0.05, "history_used": 940}


async def ask(sessions: Sessions, kind: str, spec: dict[str, Any]) -> UUID:
    """A job that waits."""
    async with sessions() as db:
        job = await service.start_job(db, kind=kind, spec=spec, owner=None, reason="a test")
        await db.commit()
        return job.id


async def look(sessions: Sessions, job_id: UUID) -> TrainingJob:
    """How a job stands."""
    async with sessions() as db:
        job = await crud.find_job(db, job_id)
        assert job is not None
        return job


async def until(
    sessions: Sessions, job_id: UUID, true: Callable[[TrainingJob], object], *, seconds: float = 80.0
) -> TrainingJob:
    """How a job stands once ``true`` says that it is so."""
    async with asyncio.timeout(seconds):
        while not true(job := await look(sessions, job_id)):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)
    return job


async def events(sessions: Sessions, job_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """All that happened in a job."""
    async with sessions() as db:
        return [(event.kind, event.payload) for event in await crud.events_after(db, job_id, 0, limit=1_000)]


def ended(job: TrainingJob) -> bool:
    """Whether nothing more will happen to it."""
    return job.finished_at is not None


def stepped(job: TrainingJob) -> bool:
    """Whether it has got somewhere that can be gone on from."""
    return job.status == "running" and job.progress is not None and job.progress["epoch"] > 2


def left_in(settings: Settings) -> list[str]:
    """What lies where jobs work and bundles are written."""
    places = (jobs_dir(settings), settings.bundles)
    return [entry.name for place in places if place.is_dir() for entry in place.iterdir()]


async def until_left(settings: Settings, names: list[str]) -> None:
    """Return once nothing else lies there: a worker cleans up after it has told that the job ended."""
    async with asyncio.timeout(30):
        while left_in(settings) != names:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)


async def test_a_job_tells_what_it_is_at_and_what_came_of_it(sessions: Sessions, tools: WorkerTools) -> None:
    """In order; what JSON cannot tell is null. Nothing is left but the bundle."""
    job_id = await ask(sessions, "train", QUICK)

    await run_attempt(tools, job_id, 0)

    job = await look(sessions, job_id)
    assert (job.status, job.failure, job.attempt, job.lease_until) == ("succeeded", None, 1, None)
    assert job.result is not None
    assert left_in(tools.settings) == [job.result["bundle"]]
    happened = await events(sessions, job_id)
    assert [happened[0], happened[1], happened[-1]] == [
        ("status", {"status": "queued"}),
        ("status", {"status": "running", "attempt": 1}),
        ("status", {"status": "succeeded"}),
    ]
    assert ("log", {"text": f"bundle {job.result['bundle']}"}) in happened
    assert job.progress == {"epoch": 3, "epochs": 3, "loss": 0.5}


@pytest.mark.parametrize(
    ("how", "failure"),
    [
        ("refuse", "the configuration is none"),
        ("crash", "its process ended with exit code 1; the worker's log says why"),
    ],
)
async def test_a_job_that_cannot_be_done_says_why(
    how: str, failure: str, sessions: Sessions, tools: WorkerTools, capfd: pytest.CaptureFixture[str]
) -> None:
    """A trace is for the operator; what libraries print is not taken for what the job tells."""
    job_id = await ask(sessions, "tune", {"how": how})

    await run_attempt(tools, job_id, 0)

    job = await look(sessions, job_id)
    assert (job.status, job.failure) == ("failed", failure)
    told = await events(sessions, job_id)
    assert told[2:] == [("log", {"text": "begun"}), ("status", {"status": "failed", "failure": failure})]
    assert left_in(tools.settings) == []
    assert ("a secret of the operator's" in capfd.readouterr().err) == (how == "crash")


async def begin_endless(
    sessions: Sessions, tools: WorkerTools, kind: str = "tune"
) -> tuple[UUID, "asyncio.Task[None]", TrainingJob]:
    """A job under way in this process, which has told its progress."""
    job_id = await ask(sessions, kind, {"how": "go on"} if kind == "tune" else ENDLESS)
    running = asyncio.create_task(run_attempt(tools, job_id, 0))
    return job_id, running, await until(sessions, job_id, lambda job: job.progress)


async def test_a_killed_child_is_a_failed_job(sessions: Sessions, tools: WorkerTools) -> None:
    """As when memory is short: a reason, at once; nothing of a bundle stays, and nothing that it started lives on."""
    job_id, running, job = await begin_endless(sessions, tools)
    (process,) = children_of(os.getpid(), "quick_child")
    assert job.progress is not None

    kill(process)
    await running

    job = await look(sessions, job_id)
    assert (job.status, job.failure) == ("failed", "its process was ended by SIGKILL, perhaps for want of memory")
    assert left_in(tools.settings) == []
    assert job.progress is not None
    assert not is_alive(job.progress["helper"])


async def test_a_process_that_tells_nothing_for_too_long_is_a_failed_job(
    sessions: Sessions, tools: WorkerTools
) -> None:
    """It hangs, and would keep the only slot for good; whoever goes on telling may take as long as it takes."""
    impatient = replace(tools, settings=tools.settings.model_copy(update={"job_silence_minutes": SILENCE_MINUTES}))
    talking, hanging = await ask(sessions, "train", LONGER_THAN_SILENCE), await ask(sessions, "tune", {"how": "hang"})

    await asyncio.gather(*(run_attempt(impatient, job_id, 0) for job_id in (talking, hanging)))

    job = await look(sessions, hanging)
    assert (job.status, job.failure) == ("failed", "it told nothing for 0.1 minutes")
    assert job.progress is not None
    assert not is_alive(job.progress["helper"])
    assert (await look(sessions, talking)).status == "succeeded"


async def test_a_cancelled_job_ends_its_process_and_leaves_nothing(sessions: Sessions, tools: WorkerTools) -> None:
    """With what that started; half of a bundle goes too."""
    job_id, running, job = await begin_endless(sessions, tools)
    (process,) = children_of(os.getpid(), "quick_child")
    assert len(left_in(tools.settings)) == 2

    async with sessions() as db:
        assert await crud.cancel(db, job_id)
        await db.commit()
    await asyncio.wait_for(running, 60)

    assert (await look(sessions, job_id)).status == "cancelled"
    assert job.progress is not None
    assert not is_alive(process)
    assert not is_alive(job.progress["helper"])
    assert left_in(tools.settings) == []


async def test_a_worker_that_is_told_to_end_puts_its_job_back(sessions: Sessions, tools: WorkerTools) -> None:
    """However long it waits then: nobody died. The next one goes on where it was."""
    job_id, running, _ = await begin_endless(sessions, tools, "train")
    await until(sessions, job_id, stepped)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    at_once = await look(sessions, job_id)
    await asyncio.sleep(1.1 * LEASE_SECONDS)
    await look_once(tools)

    for job in (at_once, await look(sessions, job_id)):
        assert (job.status, job.attempt, job.lease_until) == ("queued", 1, None)
    assert children_of(os.getpid(), "quick_child") == []
    assert [path.name for path in (jobs_dir(tools.settings) / str(job_id)).iterdir() if path.name == "state"]


async def test_who_cannot_give_a_heartbeat_for_a_lease_ends_the_process(
    sessions: Sessions, tools: WorkerTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may have the job by then."""
    job_id, running, _ = await begin_endless(sessions, tools, "train")

    async def away(*_: Any, **__: Any) -> bool:
        raise OSError("no way to the database")

    monkeypatch.setattr(service, "keep_up", away)
    await asyncio.wait_for(running, 20 * LEASE_SECONDS)

    assert children_of(os.getpid(), "quick_child") == []
    assert (await look(sessions, job_id)).status == "running"
    monkeypatch.undo()
    await look_once(tools)
    assert (await look(sessions, job_id)).status == "queued"


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was only held up may come to itself while another has its job."""
    child.hold(tmp_path / "job")
    monkeypatch.setattr(child, "WAIT_SECONDS", 0.1)

    with pytest.raises(child.FolderHeldError):
        child.hold(tmp_path / "job")


async def test_a_job_of_a_dead_worker_that_nobody_takes_over_has_failed_two_leases_later(
    sessions: Sessions, tools: WorkerTools
) -> None:
    """With a reason; a worker of another queue says so."""
    job_id = await ask(sessions, "train", ENDLESS)
    async with sessions() as db:
        await service.begin(db, job_id, begun=0, lease=timedelta(seconds=LEASE_SECONDS))

    seen = []
    for _ in range(3):
        await asyncio.sleep(1.05 * LEASE_SECONDS)
        await look_once(tools)
        job = await look(sessions, job_id)
        seen.append((job.status, job.failure))

    assert seen[0] == ("queued", None)
    assert seen[1:] == [("failed", "its worker is gone, and no other took it over in time")] * 2


async def test_a_worker_that_comes_to_itself_too_late_writes_nothing(sessions: Sessions) -> None:
    """The row is another attempt's: neither heartbeat nor result nor reason of the former one counts."""
    job_id = await ask(sessions, "train", ENDLESS)
    hour = timedelta(hours=1)
    async with sessions() as db:
        await service.begin(db, job_id, begun=0, lease=timedelta())
        await service.recover(db, patience=hour)
        second = await service.begin(db, job_id, begun=1, lease=hour)
        assert second is not None
        assert await service.begin(db, job_id, begun=0, lease=hour) is None
        told = await events(sessions, job_id)

        assert not await service.keep_up(db, job_id, 1, lease=hour, lines=["late"], progress={"epoch": 9})
        await service.end(db, job_id, 1, service.Ended(None, "it failed"))
        await service.put_back(db, job_id, 1)

    job = await look(sessions, job_id)
    assert (job.status, job.attempt, job.failure, job.progress) == ("running", 2, None, None)
    assert await events(sessions, job_id) == told


async def test_a_job_that_takes_its_workers_along_is_given_up(sessions: Sessions, tools: WorkerTools) -> None:
    """Else it would take down one after the other for ever."""
    job_id = await ask(sessions, "train", ENDLESS)
    for begun in range(service.MOST_DEATHS):
        async with sessions() as db:
            job = await service.begin(db, job_id, begun=begun, lease=timedelta())
            assert job is not None
            assert job.attempt == begun + 1
        await look_once(tools)

    job = await look(sessions, job_id)
    assert (job.status, job.failure) == ("failed", "3 workers that ran it are gone")


async def test_who_was_told_to_end_is_no_dead_worker(sessions: Sessions, tools: WorkerTools) -> None:
    """However many rolling updates a long job sees, one crash does not make it the culprit."""
    job_id = await ask(sessions, "train", ENDLESS)
    for begun in range(service.MOST_DEATHS):
        async with sessions() as db:
            await service.begin(db, job_id, begun=begun, lease=timedelta(hours=1))
            await service.put_back(db, job_id, begun + 1)

    async with sessions() as db:
        await service.begin(db, job_id, begun=service.MOST_DEATHS, lease=timedelta())
    await look_once(tools)

    assert (await look(sessions, job_id)).status == "queued"


async def test_a_job_that_lost_its_place_in_the_queue_gets_another(
    sessions: Sessions, tools: WorkerTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away for the moment in which it was to begin: else it would wait for good, and its owner too."""
    job_id = await ask(sessions, "train", QUICK)
    begin = service.begin

    async def begin_nothing(*_: Any, **__: Any) -> None:
        raise OperationalError("UPDATE training_jobs", {}, ConnectionError("the server closed the connection"))

    monkeypatch.setattr(service, "begin", begin_nothing)
    await work_off(tools)
    lost = await places(sessions)
    monkeypatch.setattr(service, "begin", begin)
    for _ in range(2):
        await look_once(tools)
    waiting = await places(sessions)
    await work_off(tools)

    assert (lost, waiting) == (["failed"], ["failed", "todo"])
    assert (await look(sessions, job_id)).status == "succeeded"


async def work_off(tools: WorkerTools) -> None:
    """What a worker on the queue `train` does until nothing waits there."""
    async with open_queue(tools.settings) as (app, _):
        tasks.add_tasks(app)
        await app.run_worker_async(
            queues=[TRAIN_QUEUE], wait=False, install_signal_handlers=False, additional_context={"tools": tools}
        )


async def places(sessions: Sessions) -> list[str]:
    """How the places in the queue stand, in their order."""
    async with sessions() as db:
        return list(await db.scalars(text("SELECT status::text FROM procrastinate_jobs ORDER BY id")))


async def test_a_killed_workers_job_is_taken_over_and_goes_on(
    sessions: Sessions, settings: Settings, start_worker: StartWorker
) -> None:
    """Its process dies with it; meanwhile the queue `data` has its own slots."""
    job_id = await ask(sessions, "train", {"steps": 100, "step_seconds": 0.05, "history_used": 940})
    first = start_worker("data", "train")
    await until(sessions, job_id, stepped)
    (process,) = children_of(first.pid, "quick_child")
    async with sessions() as db:
        await defer(db, FORGET_KEYS, lock="a test", timestamp=0)
        await db.commit()
    async with asyncio.timeout(60):
        while await waiting_jobs(sessions):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)
    assert (await look(sessions, job_id)).status == "running"

    second = start_worker("train")
    kill(first.pid)
    first.wait()
    async with asyncio.timeout(30):
        while is_alive(process):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
    job = await until(sessions, job_id, ended)

    assert job.status == "succeeded"
    assert job.attempt >= 2  # a busy machine may hold a heartbeat up for longer than the lease here
    assert job.result is not None
    assert job.result["begun_at"] > 2
    await until_left(settings, [job.result["bundle"]])
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 60) == 0


async def waiting_jobs(sessions: Sessions) -> int:
    """How many jobs of the queue `data` that somebody asked for are not done."""
    async with sessions() as db:
        asked = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task AND status IN ('todo', 'doing')")
        return await db.scalar(asked, {"task": FORGET_KEYS}) or 0


async def test_a_job_that_goes_on_telling_and_never_ends_is_ended(sessions: Sessions, tools: WorkerTools) -> None:
    """It may go round in circles, and would keep the only slot for good."""
    bounded = replace(tools, settings=tools.settings.model_copy(update={"job_longest_hours": 0.001}))
    job_id = await ask(sessions, "train", ENDLESS)

    await asyncio.wait_for(run_attempt(bounded, job_id, 0), 60)

    job = await look(sessions, job_id)
    assert (job.status, job.failure) == ("failed", "it had not ended after 0.001 hours")
    assert children_of(os.getpid(), "quick_child") == []
    assert left_in(tools.settings) == []
