"""How much one caller may ask: bursts and the day's forecasts, and how an answer tells what is left."""

import ipaddress
import logging
from collections.abc import Hashable, Mapping
from http import HTTPStatus
from uuid import UUID

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import DatabaseUnavailableError
from app.core.limits_burst import Burst, BurstCounters, Left
from app.core.limits_daily import DailyForecasts, DailyQuotaError
from app.core.problems import problem
from data_pipeline.errors import ClosecastError

logger = logging.getLogger(__name__)

TOLD_STATE = "rate_limits_told"  # where the outermost middleware finds them, whoever writes the answer
IPV6_NETWORK_BITS = 64  # one customer's: counting single addresses of it would count nobody


@problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", example="100 requests in 1 s are yours: repeat shortly")
class TooManyRequestsError(ClosecastError):
    """More requests came than one user, or one address that signs in, may send in so short a time: repeat later."""

    def __init__(self, left: Left) -> None:
        super().__init__(f"{left.amount} requests in {left.window_seconds} s are yours: repeat shortly")
        self.retry_after_seconds = float(left.resets_in_seconds)


class Limits:
    """One per process."""

    def __init__(self, settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._counters = BurstCounters(settings)
        self._user_burst = Burst("burst", settings.burst_per_second, 1)
        self._address_burst = Burst("sign-in", settings.sign_in_requests_per_minute, 60)
        self._daily_amount = settings.forecasts_per_day
        self._daily = DailyForecasts(settings.forecasts_per_day, sessions)

    async def slow_down(self, request: Request, user_id: UUID) -> None:
        """Count one request of a user.

        Raises
        ------
        TooManyRequestsError
        """
        await self._count(request, self._user_burst, user_id)

    async def slow_down_address(self, request: Request) -> None:
        """Count one request of whoever has not said yet who it is.

        Raises
        ------
        TooManyRequestsError
        """
        await self._count(request, self._address_burst, client_network(request))

    async def take_forecasts(self, request: Request, user_id: UUID, number: int) -> None:
        """Take forecasts out of a user's share of the day, answered or not.

        Raises
        ------
        DailyQuotaError, DatabaseUnavailableError
        """
        left = await self._daily.take(user_id, number)
        tell(request, left)
        if left.is_over:
            raise DailyQuotaError(self._daily_amount, left.resets_in_seconds)

    async def close(self) -> None:
        """Put back what this process holds of the day's shares, and close what it opened."""
        await self._counters.close()
        try:
            await self._daily.give_back()
        except DatabaseUnavailableError:
            logger.warning("forecasts that were not asked for stay counted until midnight")

    async def _count(self, request: Request, burst: Burst, subject: Hashable) -> None:
        left = await self._counters.count(burst, subject)
        tell(request, left)
        if left.is_over:
            raise TooManyRequestsError(left)


def tell(request: Request, left: Left) -> None:
    """Have the answer say what is left of this limit, beside those told before (draft-ietf-httpapi-ratelimit-headers).

    The answer's writer does not matter: an error, or a 304, tells it too.
    """
    told: dict[str, Left] = request.scope.setdefault("state", {}).setdefault(TOLD_STATE, {})
    told[left.name] = left  # of one that was told before (a batch takes from the day's share twice), the newer counts


def headers_of(told: Mapping[str, Left]) -> list[tuple[bytes, bytes]]:
    """What an answer says of the limits that its request was counted against; nothing where there was none.

    >>> headers_of({"burst": Left("burst", 50, 1, 49, 1, is_over=False)})
    [(b'ratelimit-policy', b'"burst";q=50;w=1'), (b'ratelimit', b'"burst";r=49;t=1')]
    """
    if not told:
        return []
    policies = ", ".join([f'"{left.name}";q={left.amount};w={left.window_seconds}' for left in told.values()])
    lefts = ", ".join([f'"{left.name}";r={left.left};t={left.resets_in_seconds}' for left in told.values()])
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", lefts.encode())]


def client_network(request: Request) -> str:
    """The address that a request came from, of an IPv6 one its network; "" where the server knows none.

    Proxies are none of our business here: the server believes those that the setting ``trusted_proxies`` names.
    """
    return network_of(request.client.host if request.client is not None else "")


def network_of(address: str) -> str:
    """An address as it is counted.

    >>> network_of("203.0.113.9"), network_of("2001:db8::1:2"), network_of("::ffff:203.0.113.9")
    ('203.0.113.9', '2001:db8::/64', '203.0.113.9')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
