"""Nothing is answered that is not stored, whatever dies."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.registry.service import ensure_reference_champion
from app.models import Forecast, PredictionLogRow
from tests.app.accounts import Account, register
from tests.app.process_environment import environment_of
from tests.app.windows import make_window

TICKERS = [f"T{number}" for number in range(20)]
REQUESTS = 2_000
AT_ONCE = 64
ENOUGH_ANSWERS = 300  # after which the process is killed, in the middle of all others


async def test_a_database_that_goes_away_is_a_503_and_comes_back_without_a_restart(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Even for a forecast that is in memory: what cannot be logged is not answered."""
    await publish_windows(db, [make_window("AAPL")])
    assert (await client.get("/predict/AAPL", headers=registered_user.headers)).status_code == 200

    await db.execute(text("ALTER TABLE prediction_log RENAME TO hidden"))
    await db.commit()
    unlogged = await client.get("/predict/AAPL", headers=registered_user.headers)
    await db.execute(text("ALTER TABLE hidden RENAME TO prediction_log"))
    await db.commit()
    back = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (unlogged.status_code, unlogged.json()["type"]) == (503, "/problems/database-unavailable")
    assert unlogged.headers["Retry-After"] == "2"
    assert back.status_code == 200


async def test_cut_connections_answer_503_or_are_replaced(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Never a 500, and at the latest the second request finds new ones."""
    await publish_windows(db, [make_window("AAPL")])
    await client.get("/predict/AAPL", headers=registered_user.headers)
    await db.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )

    statuses = [(await client.get("/predict/AAPL", headers=registered_user.headers)).status_code for _ in range(8)]

    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200


@pytest.fixture
async def prepared(settings: Settings, db: AsyncSession) -> Settings:
    """Settings of a database that has its first champion."""
    await ensure_reference_champion(db, settings)
    return settings


@pytest.fixture
def api_process(prepared: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A real API process on a real socket, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uvicorn = [sys.executable, "-W", "ignore", "-m", "uvicorn", "app.main:create_app", "--factory", "--no-access-log"]
    process = subprocess.Popen([*uvicorn, "--port", str(port)], env=environment_of(prepared))
    yield process, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def wait_until_alive(client: httpx.AsyncClient) -> None:
    """Return when the process answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/livez")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.timeout(300)  # 2,000 requests and two starts, on a machine that may do other things
async def test_every_answered_forecast_survives_a_kill(
    api_process: tuple[subprocess.Popen[bytes], str], db: AsyncSession
) -> None:
    """`kill -9` in the middle of many predictions: whatever was answered is frozen and logged."""
    process, address = api_process
    await publish_windows(db, [make_window(ticker, seed=seed) for seed, ticker in enumerate(TICKERS)])
    answered: dict[str, UUID] = {}

    async def ask(client: httpx.AsyncClient, account: Account, number: int) -> None:
        request_id = f"request-{number}"
        headers = {**account.headers, "X-Request-Id": request_id}
        try:
            answer = await client.get(f"/predict/{TICKERS[number % len(TICKERS)]}", headers=headers)
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            answered[request_id] = UUID(answer.json()["forecast_id"])
        if len(answered) == ENOUGH_ANSWERS:
            process.kill()

    numbers = iter(range(REQUESTS))

    async def ask_in_turn(client: httpx.AsyncClient, account: Account) -> None:
        for number in numbers:
            await ask(client, account, number)

    async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
        await wait_until_alive(client)
        account = await register(client, email="ada@example.org", password="correct horse battery 7")
        # No more at a time than there are connections: httpx looks through all that wait whenever one of them changes.
        await asyncio.gather(*(ask_in_turn(client, account) for _ in range(AT_ONCE)))

    assert ENOUGH_ANSWERS <= len(answered) < REQUESTS
    logged = await db.execute(select(PredictionLogRow.request_id, PredictionLogRow.forecast_id))
    assert answered.items() <= dict(map(tuple, logged)).items()
    assert set(answered.values()) <= set(await db.scalars(select(Forecast.id)))
