"""A refresh token works once; whoever uses it again ends the sign-in, but for a retry of the same client.

`v10_4_5` in a name is the requirement of OWASP's ASVS 5.0 that the test proves.
"""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.base import Base
from app.models.token import RefreshToken, SignIn
from tests.app.accounts import Account, sign_in


async def refresh(client: AsyncClient, refresh_token: str, **headers: str) -> httpx.Response:
    """One exchange."""
    return await client.post("/auth/refresh", json={"refresh_token": refresh_token}, headers=headers)


async def admits(client: AsyncClient, access_token: str) -> bool:
    """Whether an access token still opens something."""
    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {access_token}"})
    return answer.status_code == 200


async def use_up(db: AsyncSession, *, seconds_ago: int) -> None:
    """Move every use into the past."""
    await db.execute(update(RefreshToken).values(used_at=RefreshToken.used_at - timedelta(seconds=seconds_ago)))
    await db.commit()


async def test_a_refresh_gives_the_next_pair(client: AsyncClient, registered_user: Account) -> None:
    first = await refresh(client, registered_user.refresh_token)
    second = await refresh(client, first.json()["refresh_token"])

    assert (first.status_code, second.status_code) == (200, 200)
    assert len({registered_user.refresh_token, first.json()["refresh_token"], second.json()["refresh_token"]}) == 3
    assert await admits(client, second.json()["access_token"])


async def test_a_retry_of_the_same_client_gets_the_same_token_again(
    client: AsyncClient, registered_user: Account
) -> None:
    """Its first answer may have been lost on the way."""
    first = await refresh(client, registered_user.refresh_token)
    again = await refresh(client, registered_user.refresh_token)

    assert again.status_code == 200
    assert again.json()["refresh_token"] == first.json()["refresh_token"]


async def test_v10_4_5_fifty_parallel_uses_give_one_new_head(client: AsyncClient, registered_user: Account) -> None:
    answers = await asyncio.gather(*(refresh(client, registered_user.refresh_token) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def assert_family_is_revoked(client: AsyncClient, account: Account, head: str) -> None:
    """Nothing of the sign-in works any more, neither access tokens nor the newest refresh token."""
    assert not await admits(client, account.access_token)
    assert (await refresh(client, head)).status_code == 401


async def test_v10_4_5_a_replay_after_the_grace_revokes_the_whole_sign_in(
    client: AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    head = (await refresh(client, registered_user.refresh_token)).json()["refresh_token"]
    await use_up(db, seconds_ago=12)  # the grace is 10 s

    replay = await refresh(client, registered_user.refresh_token)

    assert (replay.status_code, replay.json()["type"]) == (401, "/problems/refresh-token-reused")
    await assert_family_is_revoked(client, registered_user, head)


async def test_a_replay_within_the_grace_is_still_a_retry(
    client: AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await refresh(client, registered_user.refresh_token)
    await use_up(db, seconds_ago=6)

    assert (await refresh(client, registered_user.refresh_token)).status_code == 200


async def test_v10_4_5_another_program_that_uses_the_token_is_a_thief_at_once(
    client: AsyncClient, registered_user: Account
) -> None:
    head = (await refresh(client, registered_user.refresh_token)).json()["refresh_token"]

    stolen = await refresh(client, registered_user.refresh_token, **{"User-Agent": "another program"})

    assert stolen.json()["type"] == "/problems/refresh-token-reused"
    await assert_family_is_revoked(client, registered_user, head)


async def test_v10_4_5_another_address_that_uses_the_token_is_a_thief_at_once(
    app: FastAPI, client: AsyncClient, registered_user: Account
) -> None:
    head = (await refresh(client, registered_user.refresh_token)).json()["refresh_token"]

    elsewhere = ASGITransport(app, client=("203.0.113.9", 4444))
    async with AsyncClient(transport=elsewhere, base_url="http://test") as thief:
        stolen = await refresh(thief, registered_user.refresh_token)

    assert stolen.json()["type"] == "/problems/refresh-token-reused"
    await assert_family_is_revoked(client, registered_user, head)


async def test_v10_4_5_an_old_token_is_no_retry_once_its_successor_was_used(
    client: AsyncClient, registered_user: Account
) -> None:
    first = (await refresh(client, registered_user.refresh_token)).json()["refresh_token"]
    head = (await refresh(client, first)).json()["refresh_token"]

    replay = await refresh(client, registered_user.refresh_token)

    assert replay.json()["type"] == "/problems/refresh-token-reused"
    await assert_family_is_revoked(client, registered_user, head)


async def test_a_revoked_sign_in_leaves_the_account_s_others_alone(
    client: AsyncClient, registered_user: Account, other_user: Account
) -> None:
    second = await sign_in(client, email=registered_user.email, password=registered_user.password)
    await refresh(client, registered_user.refresh_token)
    await refresh(client, registered_user.refresh_token, **{"User-Agent": "a thief"})

    assert not await admits(client, registered_user.access_token)
    assert await admits(client, second.access_token)
    assert await admits(client, other_user.access_token)


async def test_an_access_token_refreshes_nothing(client: AsyncClient, registered_user: Account) -> None:
    answer = await refresh(client, registered_user.access_token)

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/invalid-token")


async def test_an_expired_refresh_token_is_told_so(app: FastAPI, client: AsyncClient, registered_user: Account) -> None:
    tokens = app.state.tokens
    claims = tokens.verify(registered_user.refresh_token, "refresh")
    long_ago = claims.issued_at.replace(year=claims.issued_at.year - 1)
    expired = tokens.sign(
        "refresh",
        user_id=claims.sub,
        sign_in_id=claims.sid,
        token_id=claims.jti,
        issued_at=long_ago,
        lifetime=claims.expires_at - claims.issued_at,
    )

    assert (await refresh(client, expired)).json()["type"] == "/problems/expired-token"


@pytest.mark.parametrize("rows", [RefreshToken, SignIn])
async def test_a_good_signature_is_not_enough_once_the_row_is_gone(
    client: AsyncClient, registered_user: Account, db: AsyncSession, rows: type[Base]
) -> None:
    await db.execute(delete(rows))
    await db.commit()

    assert (await refresh(client, registered_user.refresh_token)).json()["type"] == "/problems/invalid-token"
