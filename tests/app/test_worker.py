"""The worker as a process: works, stops when told, and takes up what a killed one left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from procrastinate import App, JobContext
from procrastinate.jobs import Job
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from sqlalchemy import func, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import DatabaseUnavailableError
from app.core.jobs import COLLECT, DATA_QUEUE, WorkerTools, defer, open_queue
from app.core.monitoring.metrics import source_errors_total
from app.features.market_data import collecting, tasks
from app.features.stock_prediction import tasks as stock_prediction_tasks
from app.features.stock_prediction.tasks import drop_old_log_partitions, ensure_log_partitions
from app.models import ServingWindowRow
from app.worker import add_upkeep, restart_stalled_jobs, run
from data_pipeline.sources.base import RateLimitedError
from data_pipeline.sources.registry import OrderedSources
from tests.app.process_environment import environment_of
from tests.app.scripted_source import ScriptedSource

LEFT_BEHIND = """
WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id)
UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead) WHERE status = 'todo'
"""
LONG_AGO = "2000-01-01T00:00:00+00:00"
JOBS = "SELECT task_name, status::text, attempts FROM procrastinate_jobs ORDER BY id"


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[tuple[App, WorkerTools]]:
    """The queue with every task."""
    async with open_queue(settings) as (app, tools):
        tasks.add_tasks(app)
        stock_prediction_tasks.add_tasks(app)
        add_upkeep(app)
        app.periodic_registry.periodic_tasks.clear()  # nothing but what the test asks for
        yield app, tools


@pytest.fixture
def worker_process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker on the packaged sample."""
    program = "from app.config import Settings; from app.worker import run; run(Settings())"
    environment = environment_of(settings, CLOSECAST_SOURCES='["sample"]')
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], env=environment)
    yield process
    process.kill()
    process.wait()


async def stored(db: AsyncSession) -> int:
    """How many windows are published."""
    count = await db.scalar(select(func.count()).select_from(ServingWindowRow)) or 0
    await db.commit()
    return count


async def test_a_worker_process_collects_the_sample_and_ends_when_told(
    worker_process: subprocess.Popen[bytes], db: AsyncSession
) -> None:
    """SIGTERM is what a supervisor, compose and Kubernetes send."""
    await defer(db, COLLECT, lock="IBM", ticker="IBM", asked_at=LONG_AGO)
    await db.commit()
    async with asyncio.timeout(60):
        while not await stored(db):
            assert worker_process.poll() is None
            await asyncio.sleep(0.1)

    os.kill(worker_process.pid, signal.SIGTERM)

    assert await asyncio.to_thread(worker_process.wait, 20) == 0


async def test_what_a_killed_worker_was_at_is_done_again(db: AsyncSession, queue: tuple[App, WorkerTools]) -> None:
    """Its lock would keep the ticker from ever being collected."""
    await defer(db, COLLECT, lock="IBM", ticker="IBM", asked_at=LONG_AGO)
    await db.commit()
    await db.execute(text(LEFT_BEHIND))
    await db.commit()

    assert await restart_stalled_jobs(queue[0]) == 1
    assert [tuple(row) for row in await db.execute(text(JOBS))] == [("collect", "todo", 1)]
    assert await restart_stalled_jobs(queue[0]) == 0


async def test_a_job_that_another_one_has_settled_asks_nobody(
    db: AsyncSession, queue: tuple[App, WorkerTools], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was enqueued while the other was being done."""
    source = ScriptedSource(bars={"AAPL": 300})
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: source)
    context = _context(*queue)

    for ticker in ("AAPL", "NONE"):
        await tasks.collect(context, ticker, LONG_AGO)
        await tasks.collect(context, ticker, LONG_AGO)

    assert source.asked == ["AAPL", "NONE"]
    await tasks.collect(context, "AAPL", datetime(2100, 1, 1, tzinfo=UTC).isoformat())
    assert source.asked == ["AAPL", "NONE", "AAPL"]


async def test_a_source_that_another_made_up_for_is_counted_all_the_same(
    db: AsyncSession, queue: tuple[App, WorkerTools], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would notice that Yahoo has been away for a week."""
    limited = RateLimitedError("AAPL", "yahoo", "not now")
    sources = [ScriptedSource("yahoo", errors={"AAPL": limited}), ScriptedSource("files", bars={"AAPL": 300})]
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: OrderedSources(sources))
    counted = source_errors_total.labels("rate_limited")
    before = counted._value.get()

    await tasks.collect(_context(*queue), "AAPL", LONG_AGO)

    assert await stored(db) == 1
    assert counted._value.get() == before + 1


async def test_a_stalled_job_gives_way_to_one_that_waits_already(
    db: AsyncSession, queue: tuple[App, WorkerTools]
) -> None:
    """Two of one ticker cannot wait."""
    await defer(db, COLLECT, lock="IBM", ticker="IBM", asked_at=LONG_AGO)
    await db.commit()
    await db.execute(text(LEFT_BEHIND))
    await db.commit()
    await defer(db, COLLECT, lock="IBM", ticker="IBM", asked_at=LONG_AGO)
    await db.commit()

    await restart_stalled_jobs(queue[0])

    assert [tuple(row) for row in await db.execute(text(JOBS))] == [("collect", "todo", 0)]


async def test_partitions_are_made_by_a_daily_job(db: AsyncSession, queue: tuple[App, WorkerTools]) -> None:
    """For the months after the day it runs on."""
    await ensure_log_partitions(_context(*queue), int(datetime(2031, 1, 1, tzinfo=UTC).timestamp()))

    assert await db.scalar(text("SELECT to_regclass('prediction_log_2031_04') IS NOT NULL"))


async def test_old_months_of_the_log_are_dropped_by_a_daily_job_where_a_setting_says_so(
    db: AsyncSession, queue: tuple[App, WorkerTools]
) -> None:
    """Nothing is dropped in silence: without the setting every month stays."""
    app, tools = queue
    present = text("SELECT to_regclass('prediction_log_2020_01') IS NOT NULL")
    await ensure_log_partitions(_context(app, tools), int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()))
    now = int(datetime(2020, 6, 1, tzinfo=UTC).timestamp())

    await drop_old_log_partitions(_context(app, tools), now)
    assert await db.scalar(present)
    await db.commit()
    short = WorkerTools(tools.settings.model_copy(update={"log_retention_months": 4}), tools.sessions)
    await drop_old_log_partitions(_context(app, short), now)
    assert not await db.scalar(present)


def test_without_a_database_the_worker_ends_with_a_reason(settings: Settings) -> None:
    """Whoever supervises it starts it again."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    with pytest.raises(DatabaseUnavailableError):
        run(away)


@pytest.fixture
def one_connection(settings: Settings) -> Iterator[Settings]:
    """Settings of a database user that may have a single connection."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE closecast_has_one LOGIN CONNECTION LIMIT 1")
        theirs = make_url(url).set(username="closecast_has_one").render_as_string(hide_password=False)
        yield settings.model_copy(update={"database_url": SecretStr(theirs)})
        connection.execute("DROP ROLE closecast_has_one")


async def test_a_database_that_has_no_connection_left_for_the_queue_is_told_from_a_fault(
    one_connection: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Procrastinate gives the driver's own error then: a worker that waits for its database would end with it."""
    monkeypatch.setattr(AsyncConnectionPool.open, "__defaults__", (False, 0.5))  # s; half a minute else

    with pytest.raises(DatabaseUnavailableError):
        async with open_queue(one_connection):
            pass


def _context(app: App, tools: WorkerTools) -> JobContext:
    """What a worker hands to a task."""
    job = Job(id=1, queue=DATA_QUEUE, task_name="any", lock=None, queueing_lock=None)
    return JobContext(
        start_timestamp=0, app=app, job=job, abort_reason=lambda: None, additional_context={"tools": tools}
    )
