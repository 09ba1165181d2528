"""Months of the log."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.stock_prediction import lifespan
from app.features.stock_prediction.partitions import ensure_partitions, partition_of
from app.main import create_app

CUT_LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
)
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_log'::regclass ORDER BY 1"


@pytest.mark.parametrize(
    ("now", "ahead", "expected"),
    [
        (datetime(2026, 11, 5, tzinfo=UTC), 0, ("prediction_log_2026_11", "2026-11-01", "2026-12-01")),
        (datetime(2026, 11, 5, tzinfo=UTC), 1, ("prediction_log_2026_12", "2026-12-01", "2027-01-01")),
        (datetime(2026, 11, 5, tzinfo=UTC), 2, ("prediction_log_2027_01", "2027-01-01", "2027-02-01")),
        (datetime(2026, 1, 31, tzinfo=UTC), 1, ("prediction_log_2026_02", "2026-02-01", "2026-03-01")),
    ],
)
def test_partitions_are_months_in_utc(now: datetime, ahead: int, expected: tuple[str, str, str]) -> None:
    """Across the year's end too."""
    name, start, end = partition_of(now, ahead)

    assert (name, start, end) == (expected[0], f"{expected[1]} 00:00:00+00", f"{expected[2]} 00:00:00+00")


async def test_the_migration_makes_this_month_and_three_more(db: AsyncSession) -> None:
    """So the first row finds its partition, and so does the first of next month."""
    made = (await db.scalars(text(PARTITIONS))).all()

    assert made == [partition_of(datetime.now(UTC), ahead)[0] for ahead in range(4)]
    assert await ensure_partitions(db, datetime.now(UTC)) == []


async def test_missing_months_are_added_ahead(db: AsyncSession) -> None:
    """Once: the second run of a day finds them."""
    later = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)

    assert await ensure_partitions(db, later) == [
        "prediction_log_2031_11",
        "prediction_log_2031_12",
        "prediction_log_2032_01",
        "prediction_log_2032_02",
    ]
    assert await ensure_partitions(db, later) == []


async def test_a_start_without_the_database_says_what_was_left_undone(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """By the error's name alone: its text may hold the address."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    app = create_app(away)

    with caplog.at_level(logging.WARNING, logger=lifespan.__name__):
        async with app.router.lifespan_context(app):
            pass

    assert "the prediction log's partitions were not made: OperationalError" in caplog.messages


@pytest.mark.usefixtures("app")
async def test_a_database_that_comes_back_gets_its_months(db: AsyncSession) -> None:
    """The process had started while it was away, or without the right to make them."""
    name = partition_of(datetime.now(UTC), 3)[0]
    await db.execute(text(f"DROP TABLE {name}"))
    await db.execute(text(CUT_LISTENERS))
    await db.commit()

    async with asyncio.timeout(5):
        while name not in (await db.scalars(text(PARTITIONS))).all():
            await db.rollback()
            await asyncio.sleep(0.05)
