"""Many tickers in one request: one pass of the network, and each ticker's own answer."""

import asyncio
from datetime import date
from typing import Any
from unittest.mock import AsyncMock

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data import windows
from app.features.market_data.service import publish_windows
from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from ml_lifecycle.export.onnx_engine import OnnxEngine
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_window

HUNDRED = [f"T{number}" for number in range(100)]


async def post(client: httpx.AsyncClient, user: Account, **body: Any) -> httpx.Response:
    """A batch of a user."""
    return await client.post("/predict/batch", json=body, headers=user.headers)


async def test_a_hundred_tickers_take_one_pass_of_the_network(
    app: FastAPI,
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a handful of statements; each forecast is frozen, logged, and the one that GET gives."""
    network = await networks.register(db, networks.write_network(settings.bundles))
    await networks.promote(db, network)
    await app.state.champions.reload()
    await publish_windows(db, [make_window(ticker, 60, seed=seed) for seed, ticker in enumerate(HUNDRED)])
    passes: list[int] = []
    compute = OnnxEngine.quantiles

    def counting(self: OnnxEngine, window: Any, context: Any) -> Any:
        passes.append(len(window))
        return compute(self, window, context)

    monkeypatch.setattr(OnnxEngine, "quantiles", counting)
    statements: list[str] = []
    engine = app.state.session_factory.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))

    answer = await post(client, registered_user, tickers=HUNDRED, days_ahead=2)
    again = await post(client, registered_user, tickers=HUNDRED, days_ahead=2)
    single = await client.get("/predict/T7?days_ahead=2", headers=registered_user.headers)

    answers = answer.json()["answers"]
    assert passes == [100]
    assert len(statements) <= 20
    assert [each["ticker"] for each in answers] == HUNDRED
    assert all(each["problem"] is None and each["forecast"]["bundle"]["id"] == network for each in answers)
    assert timeless(answers[7]["forecast"]) == timeless(single.json())
    assert [timeless(each["forecast"]) for each in again.json()["answers"]] == [
        timeless(each["forecast"]) for each in answers
    ]
    assert await db.scalar(select(func.count()).select_from(Forecast)) == 100
    routes = list(await db.scalars(select(PredictionLogRow.route)))
    assert (routes.count("POST /predict/batch"), len(routes)) == (200, 201)


def timeless(forecast: dict[str, Any]) -> dict[str, Any]:
    """What an answer says, without how long it took."""
    return {name: value for name, value in forecast.items() if name != "latency_ms"}


async def test_each_ticker_has_its_own_result_or_problem(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What spoils one leaves the others alone; nothing is waited for, what is missing is being collected."""
    waited = AsyncMock(return_value=False)
    monkeypatch.setattr(windows, "_is_told", waited)
    spoilt = make_window("SPOILT")
    spoilt.bars.adj_close[-5] = np.nan
    await publish_windows(db, [make_window("AAPL"), spoilt, make_window("SHORT", n_bars=100), make_window("IBM")])

    answer = await post(client, registered_user, tickers=["AAPL", "SPOILT", "SHORT", "NEWCO", "../x", "ibm"])

    assert answer.status_code == 200
    told = [
        (each["ticker"], each["problem"]["type"] if each["problem"] else each["forecast"]["ticker"])
        for each in answer.json()["answers"]
    ]
    assert told == [
        ("AAPL", "AAPL"),
        ("SPOILT", "/problems/unusable-bars"),
        ("SHORT", "/problems/insufficient-history"),
        ("NEWCO", "/problems/collection-pending"),
        ("../x", "/problems/malformed-ticker"),
        ("ibm", "IBM"),
    ]
    assert answer.json()["answers"][3]["problem"]["retry_after_seconds"] == 5.0
    assert await db.scalar(select(func.count()).select_from(PredictionLogRow)) == 2
    waited.assert_not_awaited()
    await client.get("/predict/NEWCO2", headers=registered_user.headers)
    waited.assert_awaited()  # a single question waits


async def test_more_batches_of_unstored_tickers_than_connections_are_all_answered(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account
) -> None:
    """None holds a connection while it waits for another one, which nobody would get."""
    size = app.state.session_factory.kw["bind"].pool.size()

    answers = await asyncio.gather(
        *(post(client, registered_user, tickers=[f"{each}{n}" for each in "AB"]) for n in range(3 * size))
    )

    assert {answer.status_code for answer in answers} == {200}


async def test_what_is_no_batch_is_refused(client: httpx.AsyncClient, registered_user: Account) -> None:
    """Too many, none, one twice whatever its case; the same wishes as for one ticker."""
    for body, place in (
        ({"tickers": [*HUNDRED, "ONE"]}, ["tickers"]),
        ({"tickers": []}, ["tickers"]),
        ({"tickers": ["AAPL", "aapl"]}, ["tickers"]),
        ({"tickers": ["A" * 25]}, ["tickers", 0]),
        ({"tickers": [5]}, ["tickers", 0]),
        ({"tickers": "AAPL"}, ["tickers"]),
        ({"tickers": ["AAPL"], "days_ahead": 31}, ["days_ahead"]),
        ({"tickers": ["AAPL"], "tickr": 1}, ["tickr"]),
        ({}, ["tickers"]),
    ):
        answer = await post(client, registered_user, **body)
        assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, ["body", *place]), str(body)[:60]


async def test_a_past_day_a_key_and_the_day_s_share_hold_for_batches_too(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """The batch is carried out once under its key, and takes as many forecasts as it names tickers."""
    past = date(2013, 2, 1)
    await publish_windows(db, [make_window("AAPL"), make_window("AAPL", cutoff=past, as_of=past)])
    body = {"tickers": ["AAPL", "A B"], "as_of": str(past)}
    headers = {**registered_user.headers, "Idempotency-Key": "b-1"}

    first = await client.post("/api/v1/predict/batch/", json=body, headers=headers)
    again = await client.post("/predict/batch", json=body, headers=headers)

    assert again.content == first.content
    assert first.json()["answers"][0]["forecast"]["cutoff"] == str(past)
    assert await db.scalar(select(func.count()).select_from(PredictionLogRow)) == 1
    # The second tells one less: asking again is a request, but none of its tickers is forecast.
    left = [int(answer.headers["ratelimit"].split('"daily";r=')[1].split(";")[0]) for answer in (first, again)]
    assert left == [100_000 - 2, 100_000 - 3]
