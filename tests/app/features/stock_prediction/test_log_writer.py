"""Rows that wait together are committed together, and each request learns the fate of its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.config import Settings
from app.core.database import DatabaseUnavailableError, create_engine
from app.features.stock_prediction.log_writer import LogEntry, LogQueueFullError, PredictionLogWriter
from app.models.prediction_log import PredictionLogRow

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The writer's one connection."""
    engine = create_engine(settings.model_copy(update={"database_pool_size": 1}))
    yield engine
    await engine.dispose()


@pytest.fixture
async def writer(engine: AsyncEngine) -> AsyncIterator[PredictionLogWriter]:
    """A writer at work."""
    writer = PredictionLogWriter(engine, queue_size=1_000, timeout_seconds=60.0)
    writer.start()
    yield writer
    await writer.stop()


def entry(**fields: object) -> LogEntry:
    """One answered request."""
    return LogEntry(route="GET /predict/{ticker}", latency_ms=1.5, **fields)  # type: ignore[arg-type]  # as given


async def logged(db: AsyncSession) -> set[UUID]:
    """Ids of the committed rows."""
    return set(await db.scalars(select(PredictionLogRow.id)))


async def count_commits(db: AsyncSession) -> int:
    """By how many transactions the rows were written."""
    return await db.scalar(text("SELECT count(DISTINCT xmin::text) FROM prediction_log")) or 0


async def test_a_row_is_committed_when_append_returns(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """Another connection sees it, with every field."""
    row = entry(request_id="r-1", days_ahead=5, body_sha256=b"\x01", quantiles={"0.5": [1.0]})
    await writer.append(row)

    stored = (await db.scalars(select(PredictionLogRow))).one()
    assert (stored.id, stored.answered_at, stored.route) == (row.id, row.answered_at, row.route)
    assert (stored.request_id, stored.days_ahead, stored.latency_ms) == ("r-1", 5, 1.5)
    assert (stored.body_sha256, stored.quantiles, stored.forecast_id) == (b"\x01", {"0.5": [1.0]}, None)


async def test_rows_that_wait_share_commits(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """300 requests at once cost a few commits, and none is lost."""
    entries = [entry() for _ in range(300)]
    await asyncio.gather(*(writer.append(each) for each in entries))

    assert await logged(db) == {each.id for each in entries}
    assert await count_commits(db) <= 3


async def test_a_lone_row_waits_for_nobody(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """There is no fixed wait: ten in turn are ten commits."""
    for _ in range(10):
        await writer.append(entry())

    assert await count_commits(db) == 10


async def test_one_bad_row_fails_nobody_else(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """A forecast that does not exist breaks the batch; row by row the others are committed."""
    good = [entry() for _ in range(20)]
    bad = entry(forecast_id=uuid4())

    results = await asyncio.gather(
        *(writer.append(each) for each in [*good[:10], bad, *good[10:]]), return_exceptions=True
    )

    assert [type(result) for result in results if result is not None] == [DatabaseUnavailableError]
    assert isinstance(results[10], DatabaseUnavailableError)
    assert await logged(db) == {each.id for each in good}


async def test_a_cut_connection_loses_no_row_and_doubles_none(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """The writer's connection dies in the pool; the retry uses a new one."""
    first = entry()
    await writer.append(first)
    await db.execute(text(CUT))

    second = entry()
    await writer.append(second)

    assert await logged(db) == {first.id, second.id}


async def test_the_same_row_twice_is_one_row(writer: PredictionLogWriter, db: AsyncSession) -> None:
    """A commit whose answer was lost is tried again."""
    row = entry()
    await writer.append(row)
    await writer.append(row)

    assert await logged(db) == {row.id}


async def test_a_full_queue_is_refused_at_once(engine: AsyncEngine) -> None:
    """Nobody waits behind more rows than may wait."""
    idle = PredictionLogWriter(engine, queue_size=1, timeout_seconds=0.05)  # not started: nothing leaves the queue
    waiting = asyncio.create_task(idle.append(entry()))
    await asyncio.sleep(0)

    with pytest.raises(LogQueueFullError):
        await idle.append(entry())
    with pytest.raises(DatabaseUnavailableError):
        await waiting


async def test_each_row_is_waited_for_equally_long(engine: AsyncEngine) -> None:
    """One timer serves all who wait: whoever came later is told later."""
    idle = PredictionLogWriter(engine, queue_size=10, timeout_seconds=1.0)
    first = asyncio.create_task(idle.append(entry()))
    await asyncio.sleep(0.6)
    second = asyncio.create_task(idle.append(entry()))

    await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    assert (first.done(), second.done()) == (True, False)
    async with asyncio.timeout(30):
        results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailableError] * 2


async def test_without_a_database_no_append_returns(settings: Settings) -> None:
    """All who wait are told together: nobody waits for the time-outs of those before."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    writer = PredictionLogWriter(create_engine(away), queue_size=100, timeout_seconds=5.0)
    writer.start()

    results = await asyncio.gather(*(writer.append(entry()) for _ in range(50)), return_exceptions=True)
    await writer.stop()

    assert {type(result) for result in results} == {DatabaseUnavailableError}


async def test_what_nobody_foresaw_fails_its_row_at_once_and_not_the_log(
    writer: PredictionLogWriter, db: AsyncSession
) -> None:
    """A value that is no JSON raises in the driver, past every error of the database."""
    with pytest.raises(DatabaseUnavailableError):
        async with asyncio.timeout(20):  # the writer's own patience is 60 s
            await writer.append(entry(quantiles={"0.5": object()}))
    later = entry()
    await writer.append(later)

    assert writer.is_writing
    assert await logged(db) == {later.id}


async def test_stopping_writes_what_waits(engine: AsyncEngine, db: AsyncSession) -> None:
    """A graceful end loses nothing."""
    writer = PredictionLogWriter(engine, queue_size=100, timeout_seconds=5.0)
    entries = [entry() for _ in range(50)]
    appended = [asyncio.create_task(writer.append(each)) for each in entries]
    await asyncio.sleep(0)
    writer.start()
    await writer.stop()
    await asyncio.gather(*appended)

    assert await logged(db) == {each.id for each in entries}


async def test_who_gave_up_needs_no_row(engine: AsyncEngine, db: AsyncSession) -> None:
    """A request that was cancelled is not logged as answered."""
    writer = PredictionLogWriter(engine, queue_size=100, timeout_seconds=5.0)
    gone, stays = entry(), entry()
    gone_task, stays_task = asyncio.create_task(writer.append(gone)), asyncio.create_task(writer.append(stays))
    await asyncio.sleep(0)
    gone_task.cancel()
    await asyncio.sleep(0)
    writer.start()
    await stays_task
    await writer.stop()

    assert await logged(db) == {stays.id}
    assert stays.answered_at <= datetime.now(UTC)
