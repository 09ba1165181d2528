"""Enqueueing is part of the caller's transaction."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import COLLECT, defer


async def waiting(db: AsyncSession) -> list[tuple[str, str, dict[str, str]]]:
    """The jobs that wait: task, lock, arguments."""
    rows = await db.execute(text("SELECT task_name, queueing_lock, args FROM procrastinate_jobs ORDER BY id"))
    return [tuple(row) for row in rows]


async def test_a_rolled_back_transaction_leaves_no_job(db: AsyncSession) -> None:
    """The job is about a row: without the row there must be no job."""
    await defer(db, COLLECT, lock="AAPL", ticker="AAPL")
    await db.rollback()

    assert await waiting(db) == []


async def test_a_committed_transaction_leaves_its_job(db: AsyncSession) -> None:
    """By name: the API does not know the task itself."""
    assert await defer(db, COLLECT, lock="AAPL", ticker="AAPL")
    await db.commit()

    assert await waiting(db) == [("collect", "AAPL", {"ticker": "AAPL"})]


async def test_the_same_job_does_not_wait_twice_and_spoils_no_transaction(db: AsyncSession) -> None:
    """The second is refused, what else the transaction did stays."""
    await defer(db, COLLECT, lock="AAPL", ticker="AAPL")
    await db.commit()

    await db.execute(text("CREATE TABLE kept (id int)"))
    assert not await defer(db, COLLECT, lock="AAPL", ticker="AAPL")
    assert await defer(db, COLLECT, lock="IBM", ticker="IBM")
    await db.commit()

    assert [lock for _, lock, _ in await waiting(db)] == ["AAPL", "IBM"]
    assert await db.scalar(text("SELECT count(*) FROM kept")) == 0
