"""A job is its row and its place in the queue, both or neither."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.training.errors import TrainingInProgressError
from app.features.training.service import start_job
from app.models.user import User


async def told(db: AsyncSession) -> tuple[list[Any], list[Any], list[Any]]:
    """The rows, their events, and what waits in the queue."""
    rows = await db.execute(text("SELECT kind, status, reason, last_event FROM training_jobs"))
    events = await db.execute(text("SELECT seq, kind, payload FROM training_job_events"))
    jobs = await db.execute(text("SELECT task_name, queue_name, args - 'job_id' FROM procrastinate_jobs"))
    return [tuple(row) for row in rows], [tuple(row) for row in events], [tuple(row) for row in jobs]


async def test_a_rolled_back_transaction_leaves_neither_row_nor_job(db: AsyncSession) -> None:
    """A job without a row would run for nobody, a row without a job would wait for good."""
    await start_job(db, kind="train", spec={}, owner=None, reason="a test")
    await db.rollback()

    assert await told(db) == ([], [], [])


async def test_a_committed_one_leaves_both(db: AsyncSession) -> None:
    await start_job(db, kind="train", spec={"tickers": ["AAPL"]}, owner=None, reason="a test")
    await db.commit()

    assert await told(db) == (
        [("train", "queued", "a test", 1)],
        [(1, "status", {"status": "queued"})],
        [("run_training", "train", {"attempt": 0})],
    )


async def test_one_training_of_a_user_at_a_time_and_the_schedule_has_no_limit(db: AsyncSession) -> None:
    """The second is refused without spoiling what else the transaction did."""
    user = User(email="ada@example.org", password_hash="none", scopes=["train"])
    db.add(user)
    await db.flush()
    await start_job(db, kind="train", spec={}, owner=user.id, reason="the first")

    with pytest.raises(TrainingInProgressError):
        await start_job(db, kind="update", spec={}, owner=user.id, reason="the second")
    for _ in range(2):
        await start_job(db, kind="drift", spec={}, owner=None, reason="no training")
        await start_job(db, kind="train", spec={}, owner=None, reason="the schedule's")
    await db.commit()

    rows, _, jobs = await told(db)
    assert (len(rows), len(jobs)) == (5, 5)
