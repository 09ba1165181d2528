"""What administrators do with other people's accounts."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.users.service import create_user
from app.main import create_app
from tests.app.accounts import Account, sign_in

PASSWORD = "seven green herons wade"


async def patch(client: httpx.AsyncClient, admin: Account, user_id: UUID, body: Any) -> httpx.Response:
    """Ask for a change of an account."""
    return await client.patch(f"/users/{user_id}", json=body, headers=admin.headers)


async def status_of(client: httpx.AsyncClient, account: Account, path: str = "/users/me") -> int:
    """What an account's access token gets."""
    return (await client.get(path, headers=account.headers)).status_code


async def test_v7_4_2_a_disabled_account_stops_at_once(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    answer = await patch(client, admin, registered_user.id, {"disabled": True})

    assert answer.status_code == 200
    assert answer.json()["disabled_at"] is not None
    assert await status_of(client, registered_user) == 401
    refreshed = await client.post("/auth/refresh", json={"refresh_token": registered_user.refresh_token})
    assert refreshed.status_code == 401
    form = {"username": registered_user.email, "password": registered_user.password}
    signed_in = await client.post("/auth/token", data=form)
    assert (signed_in.status_code, signed_in.json()["type"]) == (403, "/problems/account-disabled")


@pytest.mark.parametrize("body", [{"disabled": 1}, {"disabled": "true"}, {"scopes": "train"}, {"scopes": [1]}], ids=str)
async def test_a_value_of_another_json_type_changes_nothing(
    client: httpx.AsyncClient, admin: Account, registered_user: Account, body: dict[str, Any]
) -> None:
    answer = await patch(client, admin, registered_user.id, body)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert await status_of(client, registered_user) == 200


async def test_an_account_that_is_disabled_by_hand_stops_within_a_second(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """An operator with psql revokes no sign-ins and tells no process."""
    await db.execute(text("UPDATE users SET disabled_at = now()"))
    await db.commit()

    await asyncio.sleep(1.0)
    assert await status_of(client, registered_user) == 401
    refreshed = await client.post("/auth/refresh", json={"refresh_token": registered_user.refresh_token})
    assert refreshed.status_code == 401


async def test_v7_4_1_what_is_taken_away_is_gone_in_other_processes_within_a_second(
    client: httpx.AsyncClient, app: FastAPI, settings: Settings, db: AsyncSession, admin: Account
) -> None:
    """Whatever is remembered there of who just asked: a sign-out, a disabled account, a changed password."""
    for name in ("leaves", "disabled", "changes"):
        await create_user(db, app.state.passwords, email=f"{name}@example.org", password=PASSWORD)
    leaves, disabled, changes = everybody = [
        await sign_in(client, email=f"{name}@example.org", password=PASSWORD)
        for name in ("leaves", "disabled", "changes")
    ]
    other = create_app(settings)
    async with (
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=other), base_url="http://other") as elsewhere,
    ):
        assert [await status_of(elsewhere, each) for each in everybody] == [200] * 3
        await client.post("/auth/logout", json={"refresh_token": leaves.refresh_token})
        await patch(client, admin, disabled.id, {"disabled": True})
        wish = {"current_password": PASSWORD, "new_password": "eleven quiet tides return"}
        await client.post("/users/me/password", json=wish, headers=changes.headers)

        await asyncio.sleep(1.0)

        assert [await status_of(elsewhere, each) for each in everybody] == [401] * 3


async def test_who_does_not_know_the_password_does_not_learn_that_an_account_is_disabled(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    await patch(client, admin, registered_user.id, {"disabled": True})

    answer = await client.post("/auth/token", data={"username": registered_user.email, "password": "a guess"})

    assert answer.json()["type"] == "/problems/invalid-credentials"


async def test_an_enabled_account_signs_in_anew_but_its_former_tokens_stay_dead(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    await patch(client, admin, registered_user.id, {"disabled": True})
    await patch(client, admin, registered_user.id, {"disabled": False})

    assert await status_of(client, registered_user) == 401
    anew = await sign_in(client, email=registered_user.email, password=registered_user.password)
    assert await status_of(client, anew) == 200


async def test_v8_3_2_scopes_are_given_and_taken_with_effect_on_tokens_that_are_out(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    given = await patch(client, admin, registered_user.id, {"scopes": ["train", "admin", "predict"]})
    assert given.json()["scopes"] == ["predict", "train", "admin"]
    assert await status_of(client, registered_user, "/users") == 200

    await patch(client, admin, registered_user.id, {"scopes": []})
    assert await status_of(client, registered_user, "/users") == 403


async def test_what_a_patch_leaves_out_stays(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    before = (await client.get("/users/me", headers=registered_user.headers)).json()

    assert (await patch(client, admin, registered_user.id, {})).json() == before


async def test_a_patch_that_is_not_as_documented_is_refused(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    for body in ({"scopes": ["root"]}, {"email": "x@example.org"}, {"disabled": "perhaps"}, []):
        assert (await patch(client, admin, registered_user.id, body)).status_code == 422, body


async def test_an_administrator_does_not_change_the_own_account(client: httpx.AsyncClient, admin: Account) -> None:
    answer = await patch(client, admin, admin.id, {"disabled": True})

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/own-account")
    assert await status_of(client, admin) == 200


async def test_the_last_administrator_does_not_delete_himself(client: httpx.AsyncClient, admin: Account) -> None:
    refused = await client.delete("/users/me", headers=admin.headers)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/last-administrator")
    assert await status_of(client, admin) == 200


async def test_of_two_administrators_who_delete_themselves_at_once_one_stays(
    client: httpx.AsyncClient, admin: Account, registered_user: Account
) -> None:
    await patch(client, admin, registered_user.id, {"scopes": ["predict", "admin"]})
    both = (admin, registered_user)

    answers = await asyncio.gather(*(client.delete("/users/me", headers=account.headers) for account in both))

    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_an_unknown_account_is_not_found(client: httpx.AsyncClient, admin: Account) -> None:
    assert (await patch(client, admin, uuid4(), {})).json()["type"] == "/problems/user-not-found"


async def test_only_administrators_administer(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account
) -> None:
    assert await status_of(client, registered_user, "/users") == 403
    assert (await patch(client, registered_user, other_user.id, {"disabled": True})).status_code == 403
    assert await status_of(client, other_user) == 200


async def test_pages_show_every_account_once_though_accounts_come_in_between(
    app: FastAPI, client: httpx.AsyncClient, admin: Account, db: AsyncSession
) -> None:
    made = [f"user{number}@example.org" for number in range(5)]
    for email in made:
        await create_user(db, app.state.passwords, email=email, password=PASSWORD)
    await db.execute(text("UPDATE users SET created_at = '2026-01-01' WHERE email LIKE 'user%'"))  # ties are broken too
    await db.commit()

    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/users", params=query, headers=admin.headers)).json()
        seen += [user["email"] for user in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(seen) == 2:
            await create_user(db, app.state.passwords, email="late@example.org", password=PASSWORD)

    assert sorted(seen[:5]) == made
    assert seen[5:] == [admin.email, "late@example.org"]


async def test_a_cursor_from_elsewhere_is_refused(client: httpx.AsyncClient, admin: Account) -> None:
    for cursor in ("x", "e30", "MjAyNi0wMS0wMSBh", "////", "é", ""):
        answer = await client.get("/users", params={"cursor": cursor}, headers=admin.headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-cursor"), cursor


async def test_a_page_has_a_largest_size(client: httpx.AsyncClient, admin: Account) -> None:
    for limit in ("0", "201", "many"):
        answer = await client.get("/users", params={"limit": limit}, headers=admin.headers)
        assert answer.status_code == 422, limit
