"""Signing in, and what an access token is good for."""

import asyncio
from statistics import median
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.passwords import PasswordHasher
from app.models.token import RefreshToken, SignIn
from tests.app.accounts import Account, sign_in

PASSWORD = "seven green herons wade"


async def token(client: httpx.AsyncClient, email: str, password: str, **more: str) -> httpx.Response:
    """What the password form answers."""
    return await client.post("/auth/token", data={"username": email, "password": password, **more})


async def test_register_then_sign_in_then_ask(client: httpx.AsyncClient) -> None:
    made = await client.post("/auth/register", json={"email": "Jane@Example.org", "password": PASSWORD})
    answer = await token(client, "jane@example.ORG", PASSWORD)  # an address has no case
    me = await client.get("/users/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})

    assert (made.status_code, answer.status_code, me.status_code) == (201, 200, 200)
    assert made.json() == me.json()
    assert me.json()["email"] == "Jane@Example.org"
    assert me.json()["scopes"] == ["predict"]
    assert set(me.json()) == {"id", "email", "scopes", "created_at", "password_changed_at", "disabled_at"}


async def test_the_answer_to_a_sign_in_is_what_oauth2_says(client: httpx.AsyncClient, registered_user: Account) -> None:
    answer = await token(
        client, registered_user.email, registered_user.password, grant_type="password", scope="predict", client_id=""
    )

    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 900)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    wrong = await token(client, registered_user.email, "not the password")
    unknown = await token(client, "nobody@example.org", "not the password")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == unknown.headers["www-authenticate"] == 'Bearer realm="closecast"'
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}


async def test_a_form_that_is_not_as_documented_is_refused(client: httpx.AsyncClient) -> None:
    for form in (
        {"username": "a@example.org"},
        {"username": "a@example.org", "password": "x", "grant_type": "client_credentials"},
        {"username": "a@example.org", "password": "x", "otp": "123456"},
        {"username": "a@example.org", "password": "x" * 129},
        {"username": "a" * 255, "password": "x"},
        {"username": "a\0@example.org", "password": "x"},
    ):
        answer = await client.post("/auth/token", data=form)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), form


async def test_without_a_good_token_nobody_is_admitted(client: httpx.AsyncClient) -> None:
    realm, invalid = 'Bearer realm="closecast"', 'Bearer realm="closecast", error="invalid_token"'
    for header, slug, challenge in (
        ({}, "not-authenticated", realm),
        ({"Authorization": "Basic YTpi"}, "not-authenticated", realm),
        ({"Authorization": "Bearer "}, "not-authenticated", realm),
        ({"Authorization": "Bearer x.y.z"}, "invalid-token", invalid),
        ({"Authorization": "Bearer " + "x" * 9000}, "invalid-token", invalid),
    ):
        answer = await client.get("/users/me", headers=header)
        assert (answer.status_code, answer.json()["type"]) == (401, f"/problems/{slug}"), header
        assert answer.headers["www-authenticate"] == challenge


async def test_a_refresh_token_admits_nobody(client: httpx.AsyncClient, registered_user: Account) -> None:
    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {registered_user.refresh_token}"})

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/invalid-token")


async def test_a_token_signed_for_another_account_than_its_sign_in_admits_nobody(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, other_user: Account
) -> None:
    claims = app.state.tokens.verify(other_user.access_token, "access")
    mixed = app.state.tokens.sign(
        "access", user_id=registered_user.id, sign_in_id=claims.sid, lifetime=claims.expires_at - claims.issued_at
    )

    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {mixed}"})

    assert answer.status_code == 401


async def test_a_missing_scope_is_named(client: httpx.AsyncClient, registered_user: Account) -> None:
    answer = await client.get("/users", headers=registered_user.headers)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/missing-scope")
    assert answer.json()["needed"] == ["admin"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="closecast", error="insufficient_scope", scope="admin"'


async def test_a_sign_in_that_is_overtaken_by_a_password_change_fails(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former password was right when it was checked, but must not open a sign-in that outlives it."""
    verify = PasswordHasher.verify

    async def verify_slowly(self: PasswordHasher, password: str, hashed: str | None) -> bool:
        right = await verify(self, password, hashed)
        await db.execute(text("UPDATE users SET password_hash = 'changed meanwhile'"))
        await db.commit()
        return right

    monkeypatch.setattr(PasswordHasher, "verify", verify_slowly)

    assert (await token(client, registered_user.email, registered_user.password)).status_code == 401


async def test_a_flood_of_sign_ins_leaves_connections_to_others(app: FastAPI, client: httpx.AsyncClient) -> None:
    """The pool has five connections; twenty sign-ins that wait for their hash hold none."""
    pool = app.state.session_factory.kw["bind"].pool
    flood = [asyncio.ensure_future(token(client, f"user{n}@example.org", "not the password")) for n in range(20)]

    held = []
    while not all(one.done() for one in flood):
        await asyncio.sleep(0.005)
        held.append(pool.checkedout())

    assert median(held) == 0
    assert {answer.status_code for answer in await asyncio.gather(*flood)} == {401}


async def test_expired_sign_ins_are_swept_when_their_account_signs_in_again(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await db.execute(text("UPDATE refresh_tokens SET expires_at = now() - interval '1 second'"))
    await db.commit()

    await sign_in(client, email=registered_user.email, password=registered_user.password)

    assert await db.scalar(select(func.count()).select_from(SignIn)) == 1
    assert await db.scalar(select(func.count()).select_from(RefreshToken)) == 1


async def test_neither_passwords_nor_tokens_are_stored(
    registered_user: Account, db: AsyncSession, client: httpx.AsyncClient
) -> None:
    await client.post("/auth/refresh", json={"refresh_token": registered_user.refresh_token})

    whole_rows = "SELECT row_to_json(users)::text FROM users UNION ALL SELECT row_to_json(sign_ins)::text FROM sign_ins"
    rows = list(await db.scalars(text(whole_rows)))
    rows += await db.scalars(text("SELECT row_to_json(refresh_tokens)::text FROM refresh_tokens"))

    assert len(rows) == 4  # one account, one sign-in, a used token and its successor
    for secret in (registered_user.password, registered_user.refresh_token, registered_user.access_token):
        assert all(secret not in row for row in rows)


async def test_an_account_id_is_a_random_uuid(registered_user: Account) -> None:
    assert UUID(str(registered_user.id)).version == 4
