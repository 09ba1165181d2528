"""How much one caller may ask, over all processes, and what an answer tells of it.

Names begin with the requirement of OWASP's ASVS 5.0 that is proved.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import UUID, uuid4

import httpx
import pytest
from fakeredis import TcpFakeServer
from limits.aio.storage.redis.bridge import RedisBridge
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.limits_burst import Burst, BurstCounters
from app.core.limits_daily import DailyForecasts
from app.core.refusals import InvalidTokenError
from app.features.auth.tasks import sweep
from app.features.market_data.service import publish_windows
from app.models.limits import DailyQuota
from app.models.user import Scope, User
from tests.app.accounts import Account
from tests.app.quick_hashing import quick_hashing
from tests.app.serving import free_port
from tests.app.windows import make_window

__all__ = ["quick_hashing"]

pytestmark = pytest.mark.usefixtures("quick_hashing")

BURST = Burst("burst", 6, 60)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Limits that are soon reached."""
    return settings.model_copy(
        update={"burst_per_second": 8, "forecasts_per_day": 3, "sign_in_requests_per_minute": 12}
    )


async def test_v2_4_1_a_burst_ends_in_429_for_its_user_alone_and_is_told_in_every_answer(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account
) -> None:
    first = await client.get("/users/me", headers=registered_user.headers)
    answers = [await client.get("/users/me", headers=registered_user.headers) for _ in range(24)]
    refused = answers[-1]

    assert first.headers["ratelimit-policy"] == '"burst";q=8;w=1'
    assert first.headers["ratelimit"].startswith('"burst";r=')
    # The window slides with the clock's seconds: a burst across the edge of two of them may have a few more.
    assert 4 <= [answer.status_code for answer in answers].count(200) <= 16
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("1", '"burst";r=0;t=1')
    assert (await client.get("/users/me", headers=other_user.headers)).status_code == 200


async def test_v2_4_1_one_address_registers_signs_in_and_refreshes_so_often_and_no_more(
    client: httpx.AsyncClient,
) -> None:
    answers = [await client.post("/auth/logout", json={"refresh_token": "x"}) for _ in range(30)]

    assert {answer.status_code for answer in answers[:12]} == {204}
    assert (answers[-1].status_code, answers[-1].headers["ratelimit-policy"]) == (429, '"sign-in";q=12;w=60')


async def test_v2_4_1_a_day_has_so_many_forecasts_whoever_of_a_user_s_programs_asks(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await publish_windows(db, [make_window("AAPL")])
    wish = {"name": "report", "scopes": ["predict"]}
    made = await client.post("/auth/api-keys", json=wish, headers=registered_user.headers)
    with_key = {"X-API-Key": made.json()["key"]}

    answers = [
        await client.get("/predict/AAPL", headers=headers)
        for headers in (registered_user.headers, with_key, with_key, registered_user.headers)
    ]
    refused = answers[-1]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"burst";q=8;w=1, "daily";q=3;w=86400'
    assert [answer.headers["ratelimit"].split('"daily";r=')[1][0] for answer in answers] == ["2", "1", "0", "0"]
    assert refused.json()["type"] == "/problems/daily-quota"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert (await client.get("/predictions", headers=registered_user.headers)).status_code == 200


@pytest.mark.parametrize(("workers", "share"), [(3, 2), (4, 1), (9, 1)])
async def test_v2_4_1_processes_that_count_for_themselves_allow_their_share(
    workers: int, share: int, settings: Settings
) -> None:
    """Of six, together never more than the whole; but each allows one."""
    counters = BurstCounters(settings.model_copy(update={"workers": workers}))

    counted = [await counters.count(BURST, "ada") for _ in range(4)]

    assert [left.is_over for left in counted] == [False] * share + [True] * (4 - share)
    assert [left.left for left in counted] == [*range(share)][::-1] + [0] * (4 - share)
    assert not (await counters.count(BURST, "bob")).is_over
    assert not (await counters.count(Burst("sign-in", 6, 60), "ada")).is_over


@contextmanager
def redis() -> Iterator[str]:
    """URL of a Redis that speaks TCP."""
    server = TcpFakeServer(("127.0.0.1", free_port()), server_type="redis")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"redis://127.0.0.1:{server.server_address[1]}"
    # Redis says NOSCRIPT and goes on; fakeredis 2.40 hangs up, so it is told the scripts before it is asked for them.
    with Redis.from_url(url) as client:
        for script in (RedisBridge.SCRIPT_ACQUIRE_SLIDING_WINDOW, RedisBridge.SCRIPT_SLIDING_WINDOW):
            client.script_load(script)
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_v2_4_1_redis_counts_for_all_processes_together(settings: Settings) -> None:
    with redis() as url:
        shared = settings.model_copy(update={"workers": 2, "redis_url": SecretStr(url)})
        processes = BurstCounters(shared), BurstCounters(shared)
        counted = [await processes[number % 2].count(BURST, "ada") for number in range(8)]
        for process in processes:
            await process.close()

    assert [left.is_over for left in counted] == [False] * 6 + [True] * 2
    assert {left.amount for left in counted} == {6}


async def test_v2_4_1_where_redis_is_away_memory_counts(settings: Settings) -> None:
    nobody = SecretStr(f"redis://127.0.0.1:{free_port()}")
    process = BurstCounters(settings.model_copy(update={"workers": 2, "redis_url": nobody}))

    counted = [await process.count(BURST, "ada") for _ in range(4)]
    await process.close()

    assert [left.is_over for left in counted] == [False] * 3 + [True]  # its share of six


@pytest.fixture
async def user_id(db: AsyncSession) -> UUID:
    """An account, without an application around it."""
    user = User(email="ada@example.org", password_hash="none", scopes=[Scope.PREDICT])
    db.add(user)
    await db.commit()
    return user.id


def daily(sessions: async_sessionmaker[AsyncSession], limit: int, now: datetime = NOON) -> DailyForecasts:
    """What one process counts with; ``now`` is its clock."""
    return DailyForecasts(limit, sessions, clock=lambda: now)


async def taken(db: AsyncSession) -> dict[datetime, int]:
    """The counters in the database, by day."""
    rows = dict((await db.execute(select(DailyQuota.day, DailyQuota.taken))).all())
    await db.rollback()
    return rows


@pytest.mark.parametrize("limit", [3, 700])
async def test_v2_4_1_no_forecast_past_the_limit_is_handed_out_however_many_processes_ask_at_once(
    sessions: async_sessionmaker[AsyncSession], user_id: UUID, limit: int
) -> None:
    processes = [daily(sessions, limit) for _ in range(3)]

    async def ask_until_refused(process: DailyForecasts) -> int:
        answered = 0
        while not (await process.take(user_id, 1)).is_over:
            answered += 1
        return answered

    answered = sum(await asyncio.gather(*(ask_until_refused(process) for process in processes for _ in range(4))))

    assert answered == limit


async def test_few_forecasts_wait_for_the_counter_and_nothing_is_lost_at_the_end_of_a_process(
    sessions: async_sessionmaker[AsyncSession], user_id: UUID, db: AsyncSession
) -> None:
    engine = sessions.kw["bind"]
    commits: list[object] = []
    event.listen(engine.sync_engine, "commit", commits.append)
    process = daily(sessions, 100_000)

    for _ in range(2_000):
        await process.take(user_id, 1)
    asked = len(commits)
    await process.give_back()

    assert asked <= 2_000 / 64 + 3
    assert list((await taken(db)).values()) == [2_000]


async def test_a_batch_is_taken_whole_or_not_at_all_and_a_new_day_is_a_new_share(
    sessions: async_sessionmaker[AsyncSession], user_id: UUID, db: AsyncSession
) -> None:
    process = daily(sessions, 150)

    whole, too_much, rest = [await process.take(user_id, number) for number in (100, 51, 50)]
    tomorrow = await daily(sessions, 150, NOON + timedelta(days=1)).take(user_id, 100)

    assert [left.is_over for left in (whole, too_much, rest, tomorrow)] == [False, True, False, False]
    assert (rest.left, rest.resets_in_seconds) == (0, 12 * 3600)
    assert len(await taken(db)) == 2
    await sweep(db, NOON + timedelta(days=1))
    assert [str(day) for day in await taken(db)] == ["2026-11-22"]


async def test_an_account_that_was_deleted_a_moment_ago_is_no_failure_of_ours(
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    with pytest.raises(InvalidTokenError):
        await daily(sessions, 100).take(uuid4(), 1)
