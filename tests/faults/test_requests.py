"""Requests that go away, a pool without a connection left, a disk without room, a champion that grows old."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from time import monotonic

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from tests.app.accounts import Account
from tests.app.windows import make_window

CONNECTIONS = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
TICKERS = [f"T{number}" for number in range(30)]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing here is about limits."""
    return settings.model_copy(update={"burst_per_second": 100_000, "new_tickers_per_day": 100_000})


async def test_a_thousand_cancelled_requests_leave_no_connection_behind(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, direct_url: str
) -> None:
    """Cancelled wherever they happen to be: in the pool's queue, in a query, in the network, waiting for the worker."""
    await publish_windows(db, [make_window(ticker, seed=seed) for seed, ticker in enumerate(TICKERS)])
    await db.close()
    chance = random.Random(7)
    paths = [*(f"/predict/{ticker}" for ticker in TICKERS), "/predict/UNSEEN", "/predictions", "/tickers"]
    told: Counter[str] = Counter()

    async def ask_and_go() -> None:
        asking = asyncio.create_task(client.get(chance.choice(paths), headers=registered_user.headers))
        await asyncio.sleep(chance.expovariate(1 / 0.02))
        asking.cancel()
        (outcome,) = await asyncio.gather(asking, return_exceptions=True)
        told["went away" if isinstance(outcome, asyncio.CancelledError) else "answered"] += 1

    for _ in range(20):
        await asyncio.gather(*(ask_and_go() for _ in range(50)))

    pool = app.state.session_factory.kw["bind"].pool
    async with asyncio.timeout(30):
        while pool.checkedout():  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0.05)
    with psycopg.connect(direct_url) as connection:
        states = [row[0] for row in connection.execute(CONNECTIONS)]
    # cut connections are made anew first, which a busy machine may refuse to do in time
    for _ in range(50):
        answer = await client.get("/predict/T1", headers=registered_user.headers)
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.2)
    assert told.total() == 1_000
    assert told["went away"] > 200, told
    assert set(states) == {"idle"}
    assert len(states) <= pool.size() + 3  # the log's, the listener's, and this test's own
    assert answer.status_code == 200, answer.text


async def test_a_pool_without_a_connection_left_is_told_in_time(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account
) -> None:
    """Nobody waits longer than the deadline for one to come free."""
    async with AsyncExitStack() as stack:
        for _ in range(app.state.session_factory.kw["bind"].pool.size()):
            holder = await stack.enter_async_context(app.state.session_factory())
            await holder.execute(text("SELECT 1"))
        started = monotonic()
        refused = await client.get("/tickers", headers=registered_user.headers)
        seconds = monotonic() - started
    after = await client.get("/tickers", headers=registered_user.headers)

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/database-unavailable")
    assert refused.headers["Retry-After"] == "2"
    assert seconds < 10  # the pool's own patience would be half a minute
    assert after.status_code == 200


@contextmanager
def disk_full_for(table: str, direct_url: str) -> Iterator[None]:
    """What PostgreSQL says of every row of ``table`` when there is no room for it."""
    with psycopg.connect(direct_url, autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        connection.execute(f"CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()")
        yield
        connection.execute(f"DROP TRIGGER no_room ON {table}")


@pytest.mark.parametrize("table", ["prediction_log", "forecasts"])
async def test_a_full_disk_is_a_503_and_over_when_there_is_room(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, direct_url: str, table: str
) -> None:
    """What cannot be frozen, or not be logged, is not answered; nothing needs to be started again."""
    await publish_windows(db, [make_window("AAPL")])
    await db.close()
    with disk_full_for(table, direct_url):
        full = await client.get("/predict/AAPL", headers=registered_user.headers)
        alive = await client.get("/livez")
    room = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (full.status_code, full.json()["type"]) == (503, "/problems/database-unavailable")
    assert "Retry-After" in full.headers
    assert (alive.status_code, room.status_code) == (200, 200)
