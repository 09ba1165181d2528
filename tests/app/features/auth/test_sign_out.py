"""Signing out stops every token of a sign-in at once."""

import httpx

from tests.app.accounts import Account, sign_in


async def sign_out(client: httpx.AsyncClient, refresh_token: str) -> int:
    """Status of one signing out."""
    return (await client.post("/auth/logout", json={"refresh_token": refresh_token})).status_code


async def status_of(client: httpx.AsyncClient, account: Account) -> int:
    """What an account's access token gets."""
    return (await client.get("/users/me", headers=account.headers)).status_code


async def test_v7_4_1_signing_out_stops_the_access_token_and_the_refresh_token_at_once(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    assert await sign_out(client, registered_user.refresh_token) == 204

    assert await status_of(client, registered_user) == 401
    refreshed = await client.post("/auth/refresh", json={"refresh_token": registered_user.refresh_token})
    assert refreshed.status_code == 401


async def test_signing_out_here_leaves_the_sign_in_there(client: httpx.AsyncClient, registered_user: Account) -> None:
    there = await sign_in(client, email=registered_user.email, password=registered_user.password)

    await sign_out(client, registered_user.refresh_token)

    assert await status_of(client, there) == 200


async def test_signing_out_twice_or_with_nonsense_is_no_error(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    for token in (registered_user.refresh_token, registered_user.refresh_token, "nonsense"):
        assert await sign_out(client, token) == 204


async def test_an_access_token_signs_nobody_out(client: httpx.AsyncClient, registered_user: Account) -> None:
    await sign_out(client, registered_user.access_token)

    assert await status_of(client, registered_user) == 200
