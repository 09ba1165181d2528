"""Months of the log."""

import asyncio
import logging
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.stock_prediction import lifespan
from app.features.stock_prediction.partitions import PARTITIONS, drop_old_partitions, ensure_partitions, partition_of
from app.main import create_app
from app.models import Forecast, PredictionLogRow
from tests.app.freezing import freeze
from tests.app.windows import make_window

Sessions = async_sessionmaker[AsyncSession]

CUT_LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
)


@pytest.mark.parametrize(
    ("now", "ahead", "expected"),
    [
        (datetime(2026, 11, 5, tzinfo=UTC), 0, ("prediction_log_2026_11", "2026-11-01", "2026-12-01")),
        (datetime(2026, 11, 5, tzinfo=UTC), 1, ("prediction_log_2026_12", "2026-12-01", "2027-01-01")),
        (datetime(2026, 11, 5, tzinfo=UTC), 2, ("prediction_log_2027_01", "2027-01-01", "2027-02-01")),
        (datetime(2026, 1, 31, tzinfo=UTC), 1, ("prediction_log_2026_02", "2026-02-01", "2026-03-01")),
        (datetime(2026, 1, 31, tzinfo=UTC), -2, ("prediction_log_2025_11", "2025-11-01", "2025-12-01")),
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


async def test_a_clock_that_is_put_back_finds_a_partition(db: AsyncSession) -> None:
    """At the beginning of a month it may go back into the one before."""
    now = datetime.now(UTC)

    assert await ensure_partitions(db, now) == [partition_of(now, -1)[0]]
    assert await ensure_partitions(db, now) == []


async def test_missing_months_are_added_ahead(db: AsyncSession) -> None:
    """Once: the second run of a day finds them."""
    later = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)

    assert await ensure_partitions(db, later) == [
        "prediction_log_2031_10",
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

    async with asyncio.timeout(30):
        while name not in (await db.scalars(text(PARTITIONS))).all():
            await db.rollback()
            await asyncio.sleep(0.05)


async def log_one_in_each_month(db: AsyncSession, settings: Settings, sessions: Sessions, now: datetime) -> UUID:
    """Four months with a row each, the newest that of ``now``, all about one frozen forecast, whose id this gives."""
    forecast = await freeze(sessions, settings, make_window("AAPL"))
    await ensure_partitions(db, datetime(2030, 1, 1, tzinfo=UTC))
    for month in range(1, 5):
        at = datetime(2030, month, 15, tzinfo=UTC)
        values = {"answered_at": at, "id": uuid4(), "route": "r", "latency_ms": 1.0, "forecast_id": forecast.id}
        await db.execute(insert(PredictionLogRow).values(values))
    await db.commit()
    return forecast.id


NOW = datetime(2030, 4, 20, tzinfo=UTC)


async def test_months_older_than_the_setting_are_dropped_and_forecasts_stay(
    db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """Two whole months are kept beside the running one; what was dropped before is no trouble."""
    forecast_id = await log_one_in_each_month(db, settings, sessions, NOW)

    dropped = [name for name in await drop_old_partitions(db, NOW, kept_months=2) if "_2030_" in name]

    logged = await db.scalars(select(PredictionLogRow.answered_at).order_by(PredictionLogRow.answered_at))
    assert dropped == ["prediction_log_2030_01"]
    assert [row.month for row in logged] == [2, 3, 4]
    assert await db.get(Forecast, forecast_id) is not None
    assert await drop_old_partitions(db, NOW, kept_months=2) == []


async def test_who_reads_the_log_is_not_held_up_by_its_retention(
    db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """Dropping waits for the reader in short tries, between which others write."""
    await log_one_in_each_month(db, settings, sessions, NOW)
    async with sessions() as reader:
        await reader.execute(select(PredictionLogRow.id))
        dropping = asyncio.create_task(drop_old_partitions(db, NOW, kept_months=2, pause_seconds=0.2))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(30), sessions() as writer:
            values = {"answered_at": NOW, "id": uuid4(), "route": "r", "latency_ms": 1.0}
            await writer.execute(insert(PredictionLogRow).values(values))
            await writer.commit()
        assert not dropping.done()

    assert "prediction_log_2030_01" in await dropping
