"""API keys: shown once, good for what they were made for, gone when they are revoked."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.api_keys import digest_of
from app.core.identities import FRESH_SECONDS
from app.features.auth.api_keys import MOST_LIVE_KEYS
from app.features.auth.schemas import ApiKeyWish
from app.features.market_data.service import publish_windows
from app.features.users.schemas import UserPatch
from app.models.api_key import ApiKey
from app.models.prediction_log import PredictionLogRow
from tests.app.accounts import Account
from tests.app.quick_hashing import quick_hashing
from tests.app.windows import make_window

__all__ = ["quick_hashing"]

pytestmark = pytest.mark.usefixtures("quick_hashing")


async def make_key(client: httpx.AsyncClient, account: Account, *scopes: str, **more: Any) -> dict[str, Any]:
    """A new key as it was answered."""
    wish = {"name": "nightly report", "scopes": list(scopes or ["predict"]), **more}
    answer = await client.post("/auth/api-keys", json=wish, headers=account.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def with_key(made: dict[str, Any]) -> dict[str, str]:
    """What a program sends."""
    return {"X-API-Key": made["key"]}


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> tuple[int, str | None]:
    """Status, and which problem."""
    answer = await client.get(path, headers=headers)
    return answer.status_code, answer.json().get("type")


async def test_a_key_is_told_once_and_kept_as_a_digest_only(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    made = await make_key(client, registered_user)
    listed = await client.get("/auth/api-keys", headers=registered_user.headers)
    (stored,) = await db.scalars(text("SELECT row_to_json(api_keys)::text FROM api_keys"))

    assert made["key"].startswith(made["prefix"])
    assert made["prefix"].startswith("closecast_")
    assert len(made["key"]) == 53  # 256 random bits after the beginning that all keys share
    assert listed.json()["items"] == [{name: value for name, value in made.items() if name != "key"}]
    assert made["key"] not in stored
    assert digest_of(made["key"]).hex() in stored


async def test_a_key_asks_as_its_owner_and_the_log_names_it(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await publish_windows(db, [make_window("AAPL")])
    made = await make_key(client, registered_user)

    for _ in range(2):  # computed, and at hand
        assert (await client.get("/predict/AAPL", headers=with_key(made))).status_code == 200

    logged = (await db.scalars(select(PredictionLogRow))).all()
    assert [(row.user_id, row.api_key_id) for row in logged] == 2 * [(registered_user.id, UUID(made["id"]))]


async def test_a_key_does_what_it_was_made_for_and_no_more_than_its_owner_may(
    client: httpx.AsyncClient, admin: Account, registered_user: Account, db: AsyncSession
) -> None:
    narrow, wide = await make_key(client, admin, "predict"), await make_key(client, admin, "predict", "admin")

    assert await get(client, "/users", with_key(narrow)) == (403, "/problems/missing-scope")
    assert (await get(client, "/users", with_key(wide)))[0] == 200
    await db.execute(text("UPDATE users SET scopes = '{predict}'"))
    await db.commit()
    client_forgets(client, admin)
    assert await get(client, "/users", with_key(wide)) == (403, "/problems/missing-scope")

    asked_for_more = {"name": "more", "scopes": ["predict", "train"]}
    refused = await client.post("/auth/api-keys", json=asked_for_more, headers=registered_user.headers)
    assert (refused.status_code, refused.json()["lacking"]) == (403, ["train"])


def client_forgets(client: httpx.AsyncClient, account: Account) -> None:
    """Have the application ask about an account anew, as it does by itself after half a second."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    transport.app.state.identities.forget(account.id)  # type: ignore[attr-defined]


async def test_a_key_makes_no_keys_and_does_not_touch_password_or_account(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    made = await make_key(client, registered_user)

    for method, path, body in (
        ("GET", "/auth/api-keys", None),
        ("POST", "/auth/api-keys", {"name": "another", "scopes": ["predict"]}),
        ("DELETE", f"/auth/api-keys/{made['id']}", None),
        ("POST", "/users/me/password", {"current_password": "x", "new_password": "eleven quiet tides return"}),
        ("DELETE", "/users/me", None),
    ):
        answer = await client.request(method, path, json=body, headers=with_key(made))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/sign-in-needed"), (method, path)


async def test_a_revoked_key_opens_nothing_and_another_s_cannot_be_revoked(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account
) -> None:
    made = await make_key(client, registered_user)
    path = f"/auth/api-keys/{made['id']}"

    foreign = await client.delete(path, headers=other_user.headers)
    assert (foreign.status_code, foreign.json()["type"]) == (404, "/problems/api-key-not-found")
    assert (await get(client, "/users/me", with_key(made)))[0] == 200

    for _ in range(2):  # a second time changes nothing
        assert (await client.delete(path, headers=registered_user.headers)).status_code == 204
    assert await get(client, "/users/me", with_key(made)) == (401, "/problems/invalid-api-key")
    assert (await get(client, "/users/me", registered_user.headers))[0] == 200


async def test_a_key_that_expired_and_those_of_an_account_that_was_disabled_open_nothing(
    client: httpx.AsyncClient, admin: Account, registered_user: Account, db: AsyncSession
) -> None:
    short, long = [await make_key(client, registered_user, expires_in_days=days) for days in (1, None)]
    assert [(await get(client, "/users/me", with_key(made)))[0] for made in (short, long)] == [200, 200]

    await db.execute(update(ApiKey).where(ApiKey.id == UUID(short["id"])).values(expires_at=func.now()))
    await db.commit()
    client_forgets(client, registered_user)
    assert await get(client, "/users/me", with_key(short)) == (401, "/problems/invalid-api-key")
    assert (await get(client, "/users/me", with_key(long)))[0] == 200

    for disabled in (True, False):  # enabling brings no key back
        body = {"disabled": disabled}
        patched = await client.patch(f"/users/{registered_user.id}", json=body, headers=admin.headers)
        assert patched.status_code == 200
        assert await get(client, "/users/me", with_key(long)) == (401, "/problems/invalid-api-key")


async def test_an_account_that_was_just_disabled_elsewhere_makes_no_key_that_outlives_that(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    assert (await get(client, "/users/me", registered_user.headers))[0] == 200  # and is remembered here
    await db.execute(text("UPDATE users SET disabled_at = now()"))
    await db.commit()

    wish = {"name": "too late", "scopes": ["predict"]}
    refused = await client.post("/auth/api-keys", json=wish, headers=registered_user.headers)

    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/invalid-token")
    assert await db.scalar(select(func.count()).select_from(ApiKey)) == 0


async def test_the_last_use_is_told_but_not_written_for_each_request(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    made = await make_key(client, registered_user)
    assert made["last_used_at"] is None

    used = []
    for _ in range(3):
        assert (await get(client, "/users/me", with_key(made)))[0] == 200
        client_forgets(client, registered_user)
        used.append(await db.scalar(select(ApiKey.last_used_at)))
        await db.rollback()
    await db.execute(update(ApiKey).values(last_used_at=ApiKey.last_used_at - timedelta(minutes=2)))
    await db.commit()
    assert (await get(client, "/users/me", with_key(made)))[0] == 200

    assert used[0] is not None
    assert used == [used[0]] * 3
    assert (await db.scalar(select(ApiKey.last_used_at))) > used[0] - timedelta(seconds=FRESH_SECONDS)


async def test_what_is_no_key_is_refused(client: httpx.AsyncClient) -> None:
    for key in (b"x", b"closecast_", b"closecast_" + 42 * b"x", b"closecast_" + 43 * "é".encode(), b"x" * 9000):
        answer = await client.get("/users/me", headers={b"X-API-Key": key})
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/invalid-api-key"), key

    assert await get(client, "/users/me", {"X-API-Key": ""}) == (401, "/problems/not-authenticated")


async def test_a_key_is_no_token_and_a_token_is_no_key_and_both_at_once_are_refused(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    made = await make_key(client, registered_user)

    swapped = {"Authorization": f"Bearer {made['key']}"}
    assert await get(client, "/users/me", swapped) == (401, "/problems/invalid-token")
    swapped = {"X-API-Key": registered_user.access_token}
    assert await get(client, "/users/me", swapped) == (401, "/problems/invalid-api-key")
    both = {**registered_user.headers, **with_key(made)}
    assert await get(client, "/users/me", both) == (401, "/problems/two-credentials")


async def test_an_account_has_so_many_live_keys_and_no_more(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    made = [await make_key(client, registered_user) for _ in range(MOST_LIVE_KEYS)]

    wish = {"name": "one more", "scopes": ["predict"]}
    refused = await client.post("/auth/api-keys", json=wish, headers=registered_user.headers)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-api-keys")

    await client.delete(f"/auth/api-keys/{made[0]['id']}", headers=registered_user.headers)
    await make_key(client, registered_user)
    page = (await client.get("/auth/api-keys", params={"limit": 15}, headers=registered_user.headers)).json()
    rest = await client.get("/auth/api-keys", params={"cursor": page["next_cursor"]}, headers=registered_user.headers)
    assert len({key["id"] for key in page["items"] + rest.json()["items"]}) == MOST_LIVE_KEYS + 1


@pytest.mark.parametrize(
    ("name", "fits"), [("a b", True), ("", False), ("   ", False), ("\u2003", False), ("a\tb", False)]
)
def test_a_key_has_a_name_that_can_be_seen(name: str, fits: bool) -> None:
    told = {"name": name, "scopes": ["predict"]}

    if fits:
        assert ApiKeyWish.model_validate(told).name == name
    else:
        with pytest.raises(ValidationError):
            ApiKeyWish.model_validate(told)


@pytest.mark.parametrize("kind", [ApiKeyWish, UserPatch])
def test_a_scope_is_named_once(kind: type[ApiKeyWish] | type[UserPatch]) -> None:
    """As the document says; a set would leave the second one out without a word."""
    with pytest.raises(ValidationError, match="name each scope once"):
        kind.model_validate({"name": "x", "scopes": ["predict", "predict"]})
