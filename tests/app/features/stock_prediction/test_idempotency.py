"""Requests that are sent again: carried out once, answered as often as they come."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.idempotency import CLAIM_SECONDS
from app.core.jobs import open_queue
from app.features.market_data.service import publish_windows
from app.features.registry import promotion
from app.features.registry.crud import all_promotions
from app.models.idempotency import IdempotencyKey
from app.models.prediction_log import PredictionLogRow
from app.worker import add_upkeep
from tests.app import networks
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with
from tests.app.windows import make_window

AAPL = {"ticker": "AAPL"}


async def post(
    client: httpx.AsyncClient, user: Account, key: str | None, body: Mapping[str, Any] = AAPL, path: str = "/predict"
) -> httpx.Response:
    """One attempt at a request."""
    headers = user.headers if key is None else {**user.headers, "Idempotency-Key": key}
    return await client.post(path, json=body, headers=headers)


async def n_logged(db: AsyncSession) -> int:
    """Rows of the prediction log."""
    return await db.scalar(select(func.count()).select_from(PredictionLogRow)) or 0


async def test_a_repeated_request_gets_the_first_answer_and_is_carried_out_once(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Byte for byte, under either root; the same key of another user, another key or none are other requests."""
    await publish_windows(db, [make_window("AAPL")])

    first = await post(client, registered_user, "k-1")
    again = await post(client, registered_user, "k-1", path="/api/v1/predict/")

    assert (first.status_code, again.status_code, await n_logged(db)) == (200, 200, 1)
    assert again.content == first.content
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert again.headers["content-type"] == "application/json"
    for user, key in ((other_user, "k-1"), (registered_user, "k-2"), (registered_user, None)):
        assert "idempotency-replayed" not in (await post(client, user, key)).headers
    assert await n_logged(db) == 4


async def test_a_key_is_of_one_request(client: httpx.AsyncClient, registered_user: Account, db: AsyncSession) -> None:
    """Another body or another route under it is refused, and carries nothing out."""
    await publish_windows(db, [make_window("AAPL")])
    await post(client, registered_user, "k-1")

    other_body = await post(client, registered_user, "k-1", {"ticker": "AAPL", "days_ahead": 6})
    other_route = await post(client, registered_user, "k-1", path="/infer")

    for answer in (other_body, other_route):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-key-reused")
    assert await n_logged(db) == 1
    for key in ("", " ", "a b", "k" * 256):
        answer = await post(client, registered_user, key)
        assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, ["header", "Idempotency-Key"])


async def test_doubles_at_the_same_time_are_carried_out_once(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Whoever is second is told to wait; each gets the one answer in the end."""
    await publish_windows(db, [make_window("AAPL")])

    answers = await asyncio.gather(*(post(client, registered_user, "k-1") for _ in range(20)))
    late = await post(client, registered_user, "k-1")

    waiting = [answer for answer in answers if answer.status_code == 409]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {answer.json()["type"] for answer in waiting} <= {"/problems/idempotency-key-in-use"}
    assert all(answer.headers["retry-after"] == "1" for answer in waiting)
    assert {answer.content for answer in answers if answer.status_code == 200} == {late.content}
    assert await n_logged(db) == 1


async def test_what_failed_may_be_tried_again_at_once(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """A problem is no answer to keep; a body that was never read claims nothing."""
    unread = await post(client, registered_user, "k-1", {"ticker": 5})
    failed = await post(client, registered_user, "k-2", {"ticker": "NEWCO"})
    await publish_windows(db, [make_window("NEWCO"), make_window("AAPL")])

    corrected = await post(client, registered_user, "k-1")
    repeated = await post(client, registered_user, "k-2", {"ticker": "NEWCO"})

    assert (unread.status_code, failed.status_code) == (422, 503)
    assert (corrected.status_code, repeated.status_code, await n_logged(db)) == (200, 200, 2)


async def test_an_attempt_that_was_cut_off_after_its_log_row_leaves_one_row(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """As if the process had been killed between the log's commit and the key's: the next attempt is the same row."""
    await publish_windows(db, [make_window("AAPL")])
    first = await post(client, registered_user, "k-1")
    await db.execute(update(IdempotencyKey).values(status=None, headers=None, answer=None))
    await db.commit()

    too_early = await post(client, registered_user, "k-1")
    past = datetime.now(UTC) - timedelta(seconds=1)
    await db.execute(update(IdempotencyKey).values(free_at=past))
    await db.commit()
    second = await post(client, registered_user, "k-1")

    assert (too_early.status_code, too_early.json()["type"]) == (409, "/problems/idempotency-key-in-use")
    assert second.json()["forecast_id"] == first.json()["forecast_id"]
    assert await n_logged(db) == 1
    held = (await db.scalars(select(IdempotencyKey).execution_options(populate_existing=True))).one()
    row = (await db.scalars(select(PredictionLogRow))).one()
    assert (held.status, held.id, held.claimed_at, held.user_id) == (200, row.id, row.answered_at, registered_user.id)
    assert held.free_at > held.claimed_at + timedelta(seconds=CLAIM_SECONDS)  # claimed anew


async def test_a_key_is_kept_for_a_day(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """After it the key is free, whether the worker has cleaned up or not; the clean-up takes the old ones only."""
    await publish_windows(db, [make_window("AAPL")])
    for key in ("old", "reused", "young"):
        await post(client, registered_user, key)
    [kept_for] = set(await db.scalars(select(IdempotencyKey.expires_at - IdempotencyKey.claimed_at)))
    assert kept_for == timedelta(hours=24)
    await db.execute(text("UPDATE idempotency_keys SET expires_at = now() WHERE key IN ('old', 'reused')"))
    await db.commit()

    reused = await post(client, registered_user, "reused", {"ticker": "AAPL", "days_ahead": 9})
    async with open_queue(settings) as (queue, tools):
        add_upkeep(queue)
        queue.periodic_registry.periodic_tasks.clear()  # nothing but what is asked for here
        await queue.configure_task("forget_keys").defer_async(timestamp=0)
        await queue.run_worker_async(wait=False, additional_context={"tools": tools})

    assert (reused.status_code, len(reused.json()["steps"])) == (200, 9)
    assert set(await db.scalars(select(IdempotencyKey.key))) == {"reused", "young"}


async def test_a_promotion_and_a_roll_back_are_asked_for_once(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    """A second roll-back would go one champion too far back."""
    for used in (950, 960):
        served = await networks.register(db, write_bundle_with(settings.bundles, history_used=used))
        await promotion.force(db, served, reason="a test", by="ada")
    other = await networks.register(db, write_bundle_with(settings.bundles, history_used=970))

    asked = [await post(client, admin, "p-1", {}, f"/models/{other}/promote") for _ in range(2)]
    back = [await post(client, admin, "r-1", {"reason": "too wide"}, "/models/rollback") for _ in range(2)]

    assert [answer.status_code for answer in (*asked, *back)] == [202, 202, 200, 200]
    assert asked[0].headers["location"] == asked[1].headers["location"] == f"/challenges/{asked[0].json()['id']}"
    assert back[0].json() == back[1].json()
    assert [line.kind for line in await all_promotions(db)] == ["reference", "forced", "forced", "rollback"]
