"""What people do with their own accounts."""

import asyncio
from uuid import uuid4

import httpx
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.prediction_log import PredictionLogRow
from app.models.token import RefreshToken, SignIn
from app.models.user import User
from tests.app.accounts import Account, sign_in

NEW_PASSWORD = "eleven quiet tides return"


async def register(client: httpx.AsyncClient, email: str, password: str = NEW_PASSWORD) -> httpx.Response:
    """Ask for an account."""
    return await client.post("/auth/register", json={"email": email, "password": password})


async def status_of(client: httpx.AsyncClient, account: Account) -> int:
    """What an account's access token gets."""
    return (await client.get("/users/me", headers=account.headers)).status_code


async def change_password(client: httpx.AsyncClient, account: Account, *, current: str, new: str) -> httpx.Response:
    """Ask for another password."""
    body = {"current_password": current, "new_password": new}
    return await client.post("/users/me/password", json=body, headers=account.headers)


async def test_an_address_has_one_account_in_whatever_case_it_is_written(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    answer = await register(client, registered_user.email.upper())

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/email-taken")


async def test_of_parallel_registrations_one_succeeds(client: httpx.AsyncClient, db: AsyncSession) -> None:
    answers = await asyncio.gather(*(register(client, address) for address in ("a@x.org", "A@x.org", "a@X.org")))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert await db.scalar(select(func.count()).select_from(User)) == 1


async def test_what_is_no_address_is_refused(client: httpx.AsyncClient) -> None:
    for email in (
        "",
        "jane",
        "jane@",
        "@example.org",
        "jane@localhost",
        "a b@example.org",
        "jane@example..org",
        "jane@-x.org",
        "a@example.org\n",
        "a\0@example.org",
        "a@example.org,b@example.org",
        "ä@example.org",
        f"{'a' * 65}@example.org",
        f"a@{'b' * 64}.org",
        f"a@{'b.' * 130}org",
    ):
        assert (await register(client, email)).status_code == 422, email


async def test_a_short_a_long_and_a_weak_password_are_refused(client: httpx.AsyncClient) -> None:
    for password, slug in (("x" * 11, "invalid-request"), ("x" * 129, "invalid-request"), ("x" * 12, "weak-password")):
        answer = await register(client, "jane@example.org", password)
        assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{slug}")
        assert password not in answer.text


async def test_nobody_registers_as_an_administrator(client: httpx.AsyncClient) -> None:
    body = {"email": "jane@example.org", "password": NEW_PASSWORD, "scopes": ["admin"], "is_admin": True}

    assert (await client.post("/auth/register", json=body)).status_code == 422


async def test_a_changed_password_ends_every_sign_in_and_is_the_one_that_counts(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    elsewhere = await sign_in(client, email=registered_user.email, password=registered_user.password)

    answer = await change_password(client, registered_user, current=registered_user.password, new=NEW_PASSWORD)

    assert answer.status_code == 204
    assert [await status_of(client, account) for account in (registered_user, elsewhere)] == [401, 401]
    for account in (registered_user, elsewhere):
        refreshed = await client.post("/auth/refresh", json={"refresh_token": account.refresh_token})
        assert refreshed.status_code == 401
    former = {"username": registered_user.email, "password": registered_user.password}
    assert (await client.post("/auth/token", data=former)).status_code == 401
    assert await status_of(client, await sign_in(client, email=registered_user.email, password=NEW_PASSWORD)) == 200


async def test_a_password_change_that_is_refused_changes_nothing(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    right = registered_user.password
    for current, new, status, slug in (
        ("not the password", NEW_PASSWORD, 403, "wrong-password"),
        (right, "aaaaaaaaaaaaaa", 422, "weak-password"),
    ):
        answer = await change_password(client, registered_user, current=current, new=new)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert await status_of(client, registered_user) == 200
    assert await status_of(client, await sign_in(client, email=registered_user.email, password=right)) == 200


async def test_of_two_parallel_password_changes_one_wins(client: httpx.AsyncClient, registered_user: Account) -> None:
    changes = [
        change_password(client, registered_user, current=registered_user.password, new=new)
        for new in (NEW_PASSWORD, "nine loud kettles sing")
    ]

    answers = await asyncio.gather(*changes)

    won, lost = sorted(answer.status_code for answer in answers)
    assert won == 204
    assert lost in (401, 403)  # its sign-in was ended, or its current password is no longer that


async def test_a_deleted_account_is_gone_and_its_log_has_no_name(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    for account in (registered_user, other_user):
        db.add(log_row(account))
    await db.commit()

    deleted = await client.delete("/users/me", headers=registered_user.headers)

    assert deleted.status_code == 204
    assert await status_of(client, registered_user) == 401
    assert await status_of(client, other_user) == 200
    assert set(await db.scalars(select(PredictionLogRow.user_id))) == {None, other_user.id}
    assert await db.scalar(select(func.count()).select_from(SignIn)) == 1
    assert await db.scalar(select(func.count()).select_from(RefreshToken)) == 1
    assert (await register(client, registered_user.email)).status_code == 201  # the address is free again


def log_row(account: Account) -> PredictionLogRow:
    """One answered request of an account."""
    return PredictionLogRow(
        answered_at=func.now(), id=uuid4(), user_id=account.id, route="GET /predict/{ticker}", latency_ms=1.0
    )


async def test_an_answer_about_an_account_never_holds_its_hash(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    password_hash = await db.scalar(text("SELECT password_hash FROM users"))
    answer = await client.get("/users/me", headers=registered_user.headers)

    assert password_hash is not None
    assert password_hash not in answer.text
    assert "argon2" not in answer.text
