"""How many requests come in one stretch of time, counted without the database.

In Redis for all processes together where one is named. Else each process counts its own in memory and allows its share
of the limit, so that all of them together never allow more than the whole; a client whose connections all end at one
process then gets that share only.
"""

import logging
from dataclasses import dataclass
from math import ceil
from time import monotonic, time

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from app.config import Settings

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 0.25
REDIS_PAUSE_SECONDS = 5.0  # after a failure memory counts so long, else each request would wait for the same failure


@dataclass(frozen=True)
class Burst:
    """So many requests in so many seconds."""

    name: str
    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one limit after a request; ``is_over`` when there was nothing left for this one."""

    name: str
    amount: int
    window_seconds: int
    left: int
    resets_in_seconds: int
    is_over: bool


class BurstCounters:
    """One per process; counts each subject of each limit apart.

    The window slides: the last stretch counts in proportion to how much of it is still inside, which is exact for even
    traffic, needs two numbers for each subject, and lets nobody have twice the amount around a window's edge.
    """

    def __init__(self, settings: Settings) -> None:
        self._processes = settings.workers
        self._memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis: SlidingWindowCounterRateLimiter | None = None
        self._redis_again_at = 0.0
        if settings.redis_url is not None:
            self._redis = SlidingWindowCounterRateLimiter(_redis(settings.redis_url.get_secret_value()))

    async def count(self, burst: Burst, subject: str) -> Left:
        """Count one request of ``subject``; one that comes too early is not counted."""
        if self._redis is not None and monotonic() >= self._redis_again_at:
            try:
                return await _count(self._redis, burst, burst.amount, subject)
            except StorageError as error:
                self._redis_again_at = monotonic() + REDIS_PAUSE_SECONDS
                logger.warning("Redis does not count, memory does: %s", type(error.storage_error).__name__)
        return await _count(self._memory, burst, ceil(burst.amount / self._processes), subject)


async def _count(counter: SlidingWindowCounterRateLimiter, burst: Burst, amount: int, subject: str) -> Left:
    item: RateLimitItem = RateLimitItemPerSecond(amount, burst.seconds, namespace="closecast")
    allowed = await counter.hit(item, burst.name, subject)
    resets_at, left = await counter.get_window_stats(item, burst.name, subject)
    return Left(burst.name, amount, burst.seconds, left, max(1, ceil(resets_at - time())), is_over=not allowed)


def _redis(url: str) -> Storage:
    """Redis by the `redis` library, which the extra of that name brings."""
    timeouts = {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS}
    storage = storage_from_string(f"async+{url}", implementation="redispy", wrap_exceptions=True, **timeouts)
    assert isinstance(storage, Storage)  # noqa: S101 (what `async+` means)
    return storage
