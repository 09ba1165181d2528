"""A database that is killed, cut off, silent or slow: 503 in time, and back without a restart."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from time import monotonic

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import notifications
from app.core.notifications import NotificationListener
from app.features.market_data.service import publish_windows
from app.supervisor.postgres import EmbeddedPostgres
from tests.app.accounts import Account
from tests.app.windows import make_window
from tests.faults.tcp_proxy import TcpProxy

TOLD_WITHIN_SECONDS = 4.0  # libpq's least time for connecting, 2 s, and three deadlines of 0.5 s with their margins
BACK_WITHIN_SECONDS = 10.0

Ask = Callable[[], Awaitable[httpx.Response]]


@pytest.fixture
async def ask(client: httpx.AsyncClient, registered_user: Account, db: AsyncSession) -> Ask:
    """Asks for a forecast that was answered before, so that it is in memory: only the log needs the database."""
    await publish_windows(db, [make_window("AAPL")])
    await db.close()  # whatever befalls the database, this test's own connection has no part in it

    async def ask() -> httpx.Response:
        return await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (await ask()).status_code == 200
    return ask


async def states(client: httpx.AsyncClient) -> tuple[int, int]:
    """What /livez and /readyz say."""
    return (await client.get("/livez")).status_code, (await client.get("/readyz")).status_code


async def seconds_until(status: int, ask: Ask) -> float:
    """How long it takes until an answer has this status."""
    started = monotonic()
    async with asyncio.timeout(2 * BACK_WITHIN_SECONDS):
        while (await ask()).status_code != status:  # noqa: ASYNC110 (nothing in this process is told)
            await asyncio.sleep(0.05)
    return monotonic() - started


async def require_unavailable(client: httpx.AsyncClient, ask: Ask) -> None:
    """503 within the deadline, which says when to come back; alive, and not ready."""
    started = monotonic()
    answer = await ask()
    seconds = monotonic() - started

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert seconds < TOLD_WITHIN_SECONDS
    assert await states(client) == (200, 503)


async def test_a_killed_postgresql_is_told_and_used_again_once_it_is_back(
    client: httpx.AsyncClient, ask: Ask, server: EmbeddedPostgres
) -> None:
    """`kill -9`, then a start that recovers; the process stays the same."""
    postmaster = server.postmaster()
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGKILL)
    while server.is_running():  # noqa: ASYNC110 (another process)
        await asyncio.sleep(0.01)

    await require_unavailable(client, ask)
    await asyncio.to_thread(server.start)

    assert await seconds_until(200, ask) < BACK_WITHIN_SECONDS
    assert await states(client) == (200, 200)


async def test_a_silent_network_is_told_in_time_and_forgotten_once_it_speaks(
    client: httpx.AsyncClient, ask: Ask, proxy: TcpProxy
) -> None:
    """Every byte is taken and none passed on: no deadline of the server's ends that."""
    proxy.hold()
    try:
        await require_unavailable(client, ask)
    finally:
        proxy.let_through()

    assert await seconds_until(200, ask) < BACK_WITHIN_SECONDS
    assert await states(client) == (200, 200)


async def test_cut_connections_cost_a_few_answers_and_no_row(ask: Ask, proxy: TcpProxy, direct_url: str) -> None:
    """200 or 503, never a 500; what was answered with 200 is logged, once."""
    answers = [await ask()]
    for _ in range(3):
        assert proxy.cut() > 0
        answers += [await ask() for _ in range(4)]

    with psycopg.connect(direct_url) as connection:
        logged = [row[0] for row in connection.execute("SELECT request_id FROM prediction_log")]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert answers[-1].status_code == 200
    assert all(logged.count(each.headers["X-Request-Id"]) == 1 for each in answers if each.status_code == 200)


async def test_a_slow_network_is_only_slow(ask: Ask, proxy: TcpProxy) -> None:
    """20 ms each way."""
    proxy.delay(0.02)
    try:
        answers = await asyncio.gather(*(ask() for _ in range(20)))
    finally:
        proxy.delay(0)

    assert {answer.status_code for answer in answers} == {200}


async def test_a_listener_that_nothing_reaches_any_more_connects_anew(
    ask: Ask, proxy: TcpProxy, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection stands and is silent: what is remembered as told would otherwise be believed for ever."""
    listener: NotificationListener = app.state.notifications
    monkeypatch.setattr(notifications, "HEARTBEAT_SECONDS", 0.2)
    proxy.cut()  # from now on with that heartbeat
    await asyncio.sleep(2 * notifications.RECONNECT_SECONDS)
    await asyncio.wait_for(listener.connected.wait(), BACK_WITHIN_SECONDS)

    proxy.hold()
    try:
        async with asyncio.timeout(BACK_WITHIN_SECONDS):
            while listener.connected.is_set():  # noqa: ASYNC110 (the event says the opposite)
                await asyncio.sleep(0.05)
    finally:
        proxy.let_through()

    await asyncio.wait_for(listener.connected.wait(), BACK_WITHIN_SECONDS)
    assert (await ask()).status_code in {200, 503}
