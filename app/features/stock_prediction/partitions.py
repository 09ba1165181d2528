"""Months of the prediction log: made ahead of time, so that no row ever finds none."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

MONTHS_AHEAD = 3
PARTITION_LOCK = 0x706172746974  # any number, the same for every process


async def ensure_partitions(db: AsyncSession, now: datetime) -> list[str]:
    """Make this month's partition and the next three, those that are missing, and commit; gives their names.

    ``now`` is in UTC, as are the months.
    """
    wanted = [partition_of(now, ahead) for ahead in range(MONTHS_AHEAD + 1)]
    await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})
    missing = [each for each in wanted if await db.scalar(text("SELECT to_regclass(:name)"), {"name": each[0]}) is None]
    for name, start, end in missing:
        await db.execute(
            text(f"CREATE TABLE {name} PARTITION OF prediction_log FOR VALUES FROM ('{start}') TO ('{end}')")
        )
    await db.commit()
    return [name for name, _, _ in missing]


def partition_of(now: datetime, months_ahead: int) -> tuple[str, str, str]:
    """Name, first instant and end of the partition ``months_ahead`` of ``now``."""
    month = now.year * 12 + now.month - 1 + months_ahead
    start, end = _first_day(month), _first_day(month + 1)
    return f"prediction_log_{start[:7].replace('-', '_')}", f"{start} 00:00:00+00", f"{end} 00:00:00+00"


def _first_day(month: int) -> str:
    year, index = divmod(month, 12)
    return f"{year:04d}-{index + 1:02d}-01"
