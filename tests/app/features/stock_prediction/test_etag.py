"""Asking again for an answer that one holds: it is not sent twice, and logged each time."""

from collections.abc import Mapping
from datetime import date

import httpx
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from app.models.prediction_log import PredictionLogRow
from data_pipeline.serving_window import DataVersion
from tests.app.accounts import Account
from tests.app.windows import make_window


async def ask(
    client: httpx.AsyncClient, user: Account, path: str = "/predict/AAPL", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """One question of a user."""
    return await client.get(path, headers={**user.headers, **(headers or {})})


async def test_an_answer_that_is_held_is_not_sent_again_but_logged(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """304 without a body, with the same tag; both requests are in the log, under the same forecast."""
    await publish_windows(db, [make_window("AAPL")])
    first = await ask(client, registered_user)

    again = await ask(client, registered_user, headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
    assert again.headers["etag"] == first.headers["etag"]
    logged = list(await db.scalars(select(PredictionLogRow)))
    assert [str(row.forecast_id) for row in logged] == [first.json()["forecast_id"]] * 2
    assert {row.user_id for row in logged} == {registered_user.id}


async def test_only_an_answer_that_is_held_is_spared(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """One of several, strong or weak, as the comparison is weak; and not for who may not ask."""
    await publish_windows(db, [make_window("AAPL")])
    tag = (await ask(client, registered_user)).headers["etag"]

    statuses = {
        held: (await ask(client, registered_user, headers={"If-None-Match": held})).status_code
        for held in (f'"x", {tag}', tag.removeprefix("W/"), "*", '"another"', 'W/"another", "third"', "")
    }

    assert list(statuses.values()) == [304, 304, 304, 200, 200, 200]
    assert (await client.get("/predict/AAPL", headers={"If-None-Match": tag})).status_code == 401


async def test_whatever_the_answer_says_is_in_its_tag(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Other days shown, another ticker, another cutoff; but not who asks, how long it took, or who wrote it."""
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 2, 28)), make_window("IBM", seed=8)])
    first = await ask(client, registered_user)
    await app.state.champions.reload()  # what was written before is written anew, as another process would
    same = await ask(client, other_user)
    others = [await ask(client, registered_user, path) for path in ("/predict/AAPL?days_ahead=6", "/predict/IBM")]
    await publish_windows(db, [make_window("AAPL", version=DataVersion("t", 2, "1" * 64))])
    for _ in range(100):  # the notification takes some milliseconds
        later = await ask(client, registered_user, headers={"If-None-Match": first.headers["etag"]})
        if later.status_code == 200:
            break

    assert same.headers["etag"] == first.headers["etag"]
    assert len({answer.headers["etag"] for answer in (first, *others, later)}) == 4
