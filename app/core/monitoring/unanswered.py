"""Forecasts that were asked for and not answered, counted in the database: the log holds only what was answered.

A process gathers what it could not answer and adds it to the database's counts every few seconds: an answer that fails
because the database is slow must not cost it one more statement. A process that is killed takes the last seconds along;
while the database is away, the counts wait.
"""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.monitoring.metrics import ForecastOutcome
from app.models.answer_counts import ALL_TIME, UnansweredCount

logger = logging.getLogger(__name__)

SLICE = timedelta(minutes=10)
WRITTEN_EVERY_SECONDS = 5.0


class UnansweredTally:
    """What one process could not answer; ``note`` costs nothing, ``stop`` writes what is left."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._counts: Counter[tuple[datetime, str]] = Counter()
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self._write_now_and_then(), name="unanswered-tally")

    async def stop(self) -> None:
        """Write what is left, once."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self.write()

    def note(self, outcome: ForecastOutcome) -> None:
        """Count one forecast that was asked for in vain."""
        now = datetime.now(UTC)
        self._counts[now - (now - ALL_TIME) % SLICE, outcome.value] += 1

    async def write(self) -> None:
        """Add what was noted to the database's counts; where it is away, that waits."""
        noted, self._counts = self._counts, Counter()
        if not noted:
            return
        rows = [{"slice_at": slice_at, "outcome": outcome, "n": n} for (slice_at, outcome), n in sorted(noted.items())]
        statement = insert(UnansweredCount).values(rows)
        key, total = [UnansweredCount.slice_at, UnansweredCount.outcome], UnansweredCount.n + statement.excluded.n
        try:
            async with self._sessions() as db:
                await db.execute(statement.on_conflict_do_update(index_elements=key, set_={"n": total}))
                await db.commit()
        except (SQLAlchemyError, OSError) as error:
            self._counts += noted
            logger.warning("%d unanswered forecasts wait to be counted: %s", noted.total(), type(error).__name__)

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITTEN_EVERY_SECONDS)
            await self.write()
