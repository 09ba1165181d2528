"""Asking again for an answer that one holds: it is not sent twice, and logged each time."""

from collections.abc import Mapping
from datetime import date

import httpx
import pytest
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


@pytest.mark.parametrize("held", ['"another"', 'W/"another", "third"', ""])
async def test_another_answer_than_the_one_held_is_sent(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, held: str
) -> None:
    await publish_windows(db, [make_window("AAPL")])

    assert (await ask(client, registered_user, headers={"If-None-Match": held})).status_code == 200


async def test_one_of_several_held_answers_or_any_is_enough(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Strong or weak: the comparison is weak."""
    await publish_windows(db, [make_window("AAPL")])
    tag = (await ask(client, registered_user)).headers["etag"]

    for held in (f'"x", {tag}', tag.removeprefix("W/"), "*"):
        assert (await ask(client, registered_user, headers={"If-None-Match": held})).status_code == 304


async def test_whatever_the_answer_says_is_in_its_tag(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Other days shown, another ticker, another cutoff; but neither who asks nor how long it took."""
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 2, 28)), make_window("IBM", seed=8)])
    first = await ask(client, registered_user)
    same = await ask(client, other_user)
    others = [await ask(client, registered_user, path) for path in ("/predict/AAPL?days_ahead=6", "/predict/IBM")]
    await publish_windows(db, [make_window("AAPL", version=DataVersion("t", 2, "1" * 64))])
    for _ in range(100):  # the notification takes some milliseconds
        later = await ask(client, registered_user, headers={"If-None-Match": first.headers["etag"]})
        if later.status_code == 200:
            break

    assert same.headers["etag"] == first.headers["etag"]
    assert len({answer.headers["etag"] for answer in (first, *others, later)}) == 4


async def test_who_may_not_ask_is_not_told_that_nothing_changed(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await publish_windows(db, [make_window("AAPL")])
    tag = (await ask(client, registered_user)).headers["etag"]

    assert (await client.get("/predict/AAPL", headers={"If-None-Match": tag})).status_code == 401
