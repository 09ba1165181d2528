"""Months of the prediction log: made ahead of time, so that no row ever finds none; dropped when they are too old."""

import asyncio
import logging
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 3
PARTITION_LOCK = 0x706172746974  # any number, the same for every process
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_log'::regclass ORDER BY 1"
# Dropping waits for whoever reads the log, and everybody who writes it waits behind: so it gives way, and tries again.
LOCK_TIMEOUT = "300ms"
TRIES = 20
PAUSE_SECONDS = 3.0


async def ensure_partitions(db: AsyncSession, now: datetime) -> list[str]:
    """Make this month's partition, the next three and the one before, where missing, and commit; gives their names.

    ``now`` is in UTC, as are the months. The one before is for a clock that is put back.
    """
    wanted = [partition_of(now, ahead) for ahead in range(-1, MONTHS_AHEAD + 1)]
    await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})
    missing = [each for each in wanted if await db.scalar(text("SELECT to_regclass(:name)"), {"name": each[0]}) is None]
    for name, start, end in missing:
        await db.execute(
            text(f"CREATE TABLE {name} PARTITION OF prediction_log FOR VALUES FROM ('{start}') TO ('{end}')")
        )
    await db.commit()
    return [name for name, _, _ in missing]


async def drop_old_partitions(
    db: AsyncSession, now: datetime, *, kept_months: int, pause_seconds: float = PAUSE_SECONDS
) -> list[str]:
    """Drop the partitions of months that ended more than ``kept_months`` whole months ago; gives their names.

    Each is committed by itself. Frozen forecasts and scores are other tables: they stay.
    """
    partitions = await old_partitions(db, now, kept_months=kept_months)
    await db.commit()
    return [name for name in partitions if await _drop(db, name, pause_seconds)]


async def old_partitions(db: AsyncSession, now: datetime, *, kept_months: int) -> list[str]:
    """The partitions that ``drop_old_partitions`` drops."""
    oldest_kept, _, _ = partition_of(now, -kept_months)
    return [name for name in (await db.scalars(text(PARTITIONS))).all() if name < oldest_kept]


async def _drop(db: AsyncSession, name: str, pause_seconds: float) -> bool:
    for _ in range(TRIES):
        try:
            await db.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            await db.execute(text(f"DROP TABLE {name}"))
            await db.commit()
        except OperationalError:  # somebody reads it
            await db.rollback()
            await asyncio.sleep(pause_seconds)
        else:
            return True
    logger.warning("%s is in use and was not dropped; tomorrow again", name)
    return False


def partition_of(now: datetime, months_ahead: int) -> tuple[str, str, str]:
    """Name, first instant and end of the partition ``months_ahead`` of ``now``; of the past where that is negative."""
    month = now.year * 12 + now.month - 1 + months_ahead
    start, end = _first_day(month), _first_day(month + 1)
    return f"prediction_log_{start[:7].replace('-', '_')}", f"{start} 00:00:00+00", f"{end} 00:00:00+00"


def _first_day(month: int) -> str:
    year, index = divmod(month, 12)
    return f"{year:04d}-{index + 1:02d}-01"
