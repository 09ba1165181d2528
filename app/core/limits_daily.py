"""The day's forecasts of each user: a counter in PostgreSQL, taken from in portions so that few requests wait for it.

A process takes a portion out of the user's share and hands it out in memory. Portions shrink with what is left, down to
one, so never more than the share is handed out, over all processes; what a process holds of it unspent, at most
``LARGEST_PORTION``, is lost only when that process is killed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from math import ceil
from time import monotonic
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.bounded_cache import BoundedCache
from app.core.limits_burst import Left
from app.core.own_session import own_session
from app.core.problems import problem
from app.core.refusals import InvalidTokenError
from app.models.limits import DailyQuota
from data_pipeline.errors import ClosecastError

FIRST_PORTION, LARGEST_PORTION = 64, 4_096
PORTION_SECONDS = 1.0  # one that is spent sooner is followed by one twice as large: one round trip a second is enough
PORTION_OF_LEFT = (
    16  # at most a sixteenth of what is left, so that processes do not keep the end of a day's share apart
)
USERS_AT_ONCE = 10_000
DAY_SECONDS = 86_400


@problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "daily-quota",
    example="100000 forecasts a day are yours, the next ones after midnight UTC",
)
class DailyQuotaError(ClosecastError):
    """The day's forecasts are used up: the next ones come after midnight UTC, as ``Retry-After`` says."""

    def __init__(self, limit: int, retry_after_seconds: float) -> None:
        super().__init__(f"{limit} forecasts a day are yours, the next ones after midnight UTC")
        self.retry_after_seconds = retry_after_seconds


@dataclass
class _Share:
    """What this process knows of one user's day, which begins and ends at midnight UTC."""

    begins_at: datetime
    ends_at: datetime
    unspent: int = 0  # taken out of the counter and not handed out yet
    taken: int = 0  # by all processes, as last read
    portion: int = FIRST_PORTION
    asked_at: float = 0.0  # for the last portion, by the monotonic clock
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def of_the_day(cls, now: datetime) -> "_Share":
        """Of the day that it is."""
        midnight = datetime.combine(now.date(), time(), tzinfo=UTC)
        return cls(midnight, midnight + timedelta(days=1))

    @property
    def day(self) -> date:
        """Its date."""
        return self.begins_at.date()

    def next_portion(self) -> int:
        """Twice the last one where that did not last long, else as at first."""
        soon = monotonic() - self.asked_at < PORTION_SECONDS
        self.portion = min(LARGEST_PORTION, 2 * self.portion) if soon else FIRST_PORTION
        self.asked_at = monotonic()
        return self.portion


class DailyForecasts:
    """One per process."""

    def __init__(
        self,
        limit: int,
        sessions: async_sessionmaker[AsyncSession],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limit, self._sessions, self._clock = limit, sessions, clock
        self._shares: BoundedCache[UUID, _Share] = BoundedCache(USERS_AT_ONCE)

    async def take(self, user_id: UUID, number: int) -> Left:
        """Take ``number`` forecasts, all or none; ``is_over`` when they are more than are left.

        Raises
        ------
        DatabaseUnavailableError
        """
        now = self._clock()
        share = self._shares.get(user_id)
        if share is None or not share.begins_at <= now < share.ends_at:
            share = _Share.of_the_day(now)
            self._shares.put(user_id, share)
        if share.unspent < number:
            async with share.lock:  # the user's other requests wait for the same portion
                if share.unspent < number:
                    await self._take_portion(user_id, share, number - share.unspent)
        is_over = share.unspent < number
        if not is_over:
            share.unspent -= number
        left = max(0, self._limit - share.taken) + share.unspent
        return Left("daily", self._limit, DAY_SECONDS, left, ceil((share.ends_at - now).total_seconds()), is_over)

    async def _take_portion(self, user_id: UUID, share: _Share, missing: int) -> None:
        # Before the first portion nothing is known of what is left: so it is no larger than it must be.
        portion = min(share.next_portion(), (self._limit - share.taken) // PORTION_OF_LEFT) if share.taken else 1
        async with own_session(self._sessions) as db:
            try:
                before, after = await _add(db, user_id, share.day, max(portion, missing), self._limit)
            except IntegrityError as error:  # the account was deleted a moment ago
                raise InvalidTokenError from error
            await db.commit()
        share.taken = after
        share.unspent += after - before

    async def give_back(self) -> None:
        """Put back what is unspent, when the process ends.

        Raises
        ------
        DatabaseUnavailableError
        """
        async with own_session(self._sessions) as db:
            for user_id, share in sorted(self._shares.items()):  # in the same order everywhere: nobody deadlocks
                unspent, share.unspent = share.unspent, 0
                if unspent:
                    less = update(DailyQuota).values(taken=DailyQuota.taken - unspent)
                    await db.execute(less.where(DailyQuota.user_id == user_id, DailyQuota.day == share.day))
            await db.commit()


async def _add(db: AsyncSession, user_id: UUID, day: date, portion: int, limit: int) -> tuple[int, int]:
    """Add up to ``portion`` to a counter, never past ``limit``; what it was and what it is, locked until the commit."""
    counter = (DailyQuota.user_id == user_id, DailyQuota.day == day)
    await db.execute(insert(DailyQuota).values(user_id=user_id, day=day, taken=0).on_conflict_do_nothing())
    before = (await db.execute(select(DailyQuota.taken).where(*counter).with_for_update())).scalar_one()
    after = max(before, min(before + portion, limit))
    await db.execute(update(DailyQuota).where(*counter).values(taken=after))
    return before, after
