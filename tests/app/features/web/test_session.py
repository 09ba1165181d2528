"""The pages' session: who may ask, what the cookie is like, and that it ends."""

from http.cookies import Morsel, SimpleCookie
from typing import Final

import httpx

from tests.app.accounts import Account

COOKIE: Final = "__Host-closecast_refresh"
OURS: Final = {"Sec-Fetch-Site": "same-origin", "Origin": "http://test"}


def cookie_of(answer: httpx.Response) -> "Morsel[str]":
    """The cookie that an answer sets."""
    return SimpleCookie(answer.headers["set-cookie"])[COOKIE]


async def log_in(client: httpx.AsyncClient, account: Account) -> httpx.Response:
    """As the login page does."""
    body = {"email": account.email, "password": account.password}
    answer = await client.post("/pages/session/login", json=body, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer


async def go_on(client: httpx.AsyncClient, cookie: str) -> httpx.Response:
    """As each page does when it is loaded."""
    client.cookies.clear()
    return await client.post("/pages/session/refresh", headers=OURS | {"Cookie": f"{COOKIE}={cookie}"})


async def test_the_refresh_token_is_in_the_cookie_and_nowhere_else(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    answer = await log_in(client, registered_user)
    cookie = cookie_of(answer)

    assert set(answer.json()) == {"access_token", "expires_in", "scope"}
    assert cookie.value not in answer.text
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert cookie["secure"] is cookie["httponly"] is True
    assert cookie["samesite"] == "strict"
    assert 29 * 86_400 < int(cookie["max-age"]) <= 30 * 86_400
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.get("/users/me", headers=token)).json()["email"] == registered_user.email


async def test_the_cookie_opens_nothing_of_the_api(client: httpx.AsyncClient, registered_user: Account) -> None:
    cookie = cookie_of(await log_in(client, registered_user)).value
    client.cookies.clear()

    answer = await client.get("/users/me", headers=OURS | {"Cookie": f"{COOKIE}={cookie}"})

    assert answer.status_code == 401


async def test_each_refresh_gives_the_next_cookie_and_a_stolen_one_ends_the_session(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    first = cookie_of(await log_in(client, registered_user)).value
    second = await go_on(client, first)
    client.cookies.clear()
    thief = await client.post(
        "/pages/session/refresh", headers=OURS | {"Cookie": f"{COOKIE}={first}", "User-Agent": "another"}
    )
    after = await go_on(client, cookie_of(second).value)

    assert cookie_of(second).value != first
    assert (thief.status_code, thief.json()["type"]) == (401, "/problems/refresh-token-reused")
    assert (after.status_code, after.json()["type"]) == (401, "/problems/invalid-token")
    assert cookie_of(after)["max-age"] == cookie_of(thief)["max-age"] == "0"


async def test_signing_out_stops_the_tokens_and_the_cookie(client: httpx.AsyncClient, registered_user: Account) -> None:
    begun = await log_in(client, registered_user)
    cookie = cookie_of(begun).value
    client.cookies.clear()

    ended = await client.post("/pages/session/logout", headers=OURS | {"Cookie": f"{COOKIE}={cookie}"})
    token = {"Authorization": f"Bearer {begun.json()['access_token']}"}

    assert ended.status_code == 204
    assert (cookie_of(ended).value, cookie_of(ended)["max-age"], cookie_of(ended)["path"]) == ("", "0", "/")
    assert (await client.get("/users/me", headers=token)).status_code == 401
    assert (await go_on(client, cookie)).status_code == 401


async def test_a_visitor_without_a_cookie_is_nobody_and_nothing_is_wrong(client: httpx.AsyncClient) -> None:
    answers = [await client.post(f"/pages/session/{path}", headers=OURS) for path in ("refresh", "logout")]

    assert [answer.status_code for answer in answers] == [204, 204]


FOREIGN: Final[list[dict[str, str]]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://test.evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://test", "Sec-Fetch-Site": "same-site"},
]


async def test_another_site_s_page_gets_nothing_and_ends_nothing(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    cookie = cookie_of(await log_in(client, registered_user)).value
    client.cookies.clear()
    bodies = {"login": {"email": registered_user.email, "password": registered_user.password}}

    answers = [
        await client.post(
            f"/pages/session/{path}", json=bodies.get(path), headers=headers | {"Cookie": f"{COOKIE}={cookie}"}
        )
        for path in ("login", "refresh", "logout")
        for headers in FOREIGN
    ]

    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {(403, "/problems/foreign-page")}
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert (await go_on(client, cookie)).status_code == 200


async def test_one_word_of_the_browser_s_will_do(client: httpx.AsyncClient) -> None:
    """Older ones send no Sec-Fetch-Site."""
    for headers in ({"Origin": "http://test"}, {"Sec-Fetch-Site": "same-origin"}):
        assert (await client.post("/pages/session/refresh", headers=headers)).status_code == 204


async def test_a_login_says_no_more_than_the_api_does(client: httpx.AsyncClient, registered_user: Account) -> None:
    wrong = await client.post(
        "/pages/session/login", json={"email": registered_user.email, "password": "wrong words here"}, headers=OURS
    )
    surplus = await client.post(
        "/pages/session/login", json={"email": "a@example.org", "password": "x", "scope": "admin"}, headers=OURS
    )

    assert (wrong.status_code, wrong.json()["type"]) == (401, "/problems/invalid-credentials")
    assert "set-cookie" not in wrong.headers
    assert surplus.status_code == 422
