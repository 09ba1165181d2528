"""How many requests come in one stretch of time, counted without the database.

In Redis for all processes together where one is named. Else each process counts its own in memory and allows its share
of the limit, so that all of them together never allow more than the whole (unless there are more processes than the
limit has requests: each allows one); a client whose connections all end at one process then gets that share only.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from app.core.sliding_window import SlidingWindow
from data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

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


class Left(NamedTuple):
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
        self._memory: dict[str, SlidingWindow] = {}
        self._pool = open_redis(settings)
        self._redis: SlidingWindowCounterRateLimiter | None = None
        self._redis_again_at = 0.0
        if self._pool is not None:
            # The address is that of the pool; this one only says which storage is meant.
            storage = RedisStorage(
                "async+redis://",
                implementation="redispy",
                wrap_exceptions=True,
                connection_pool=self._pool,  # type: ignore[arg-type]  # handed on as documented, typed too narrowly
            )
            self._redis = SlidingWindowCounterRateLimiter(storage)

    async def count(self, burst: Burst, subject: Hashable) -> Left:
        """Count one request of ``subject``; one that comes too early is not counted."""
        if self._redis is not None and monotonic() >= self._redis_again_at:
            try:
                return await _count_in_redis(self._redis, burst, str(subject))
            except StorageError as error:
                self._redis_again_at = monotonic() + REDIS_PAUSE_SECONDS
                logger.warning("Redis does not count, memory does: %s", type(error.storage_error).__name__)
        return self._count_in_memory(burst, subject)

    def _count_in_memory(self, burst: Burst, subject: Hashable) -> Left:
        window = self._memory.get(burst.name)
        if window is None:
            window = self._memory[burst.name] = SlidingWindow(burst.seconds)
        amount = max(1, burst.amount // self._processes)
        is_counted, left, resets_in = window.count(subject, amount, time())
        return Left(burst.name, amount, burst.seconds, left, max(1, ceil(resets_in)), is_over=not is_counted)

    async def close(self) -> None:
        """Close the connections to Redis, where there are any."""
        if self._pool is not None:
            await self._pool.disconnect()


async def _count_in_redis(counter: SlidingWindowCounterRateLimiter, burst: Burst, subject: str) -> Left:
    item: RateLimitItem = RateLimitItemPerSecond(burst.amount, burst.seconds, namespace="closecast")
    allowed = await counter.hit(item, burst.name, subject)
    resets_at, left = await counter.get_window_stats(item, burst.name, subject)
    return Left(burst.name, burst.amount, burst.seconds, left, max(1, ceil(resets_at - time())), is_over=not allowed)


def open_redis(settings: Settings) -> ConnectionPool | None:
    """Connections to the Redis of the settings, opened when they are needed.

    Raises
    ------
    ConfigurationError : Redis is asked for, and the library is missing or the address is none.
    """
    if settings.redis_url is None:
        return None
    try:
        from redis.asyncio import ConnectionPool
    except ImportError as error:
        raise ConfigurationError("CLOSECAST_REDIS_URL needs the library: pip install 'closecast[redis]'") from error
    try:
        return ConnectionPool.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )
    except ValueError as error:  # its message may be the URL with its password
        raise ConfigurationError("CLOSECAST_REDIS_URL is no Redis address: redis://host:6379") from error
