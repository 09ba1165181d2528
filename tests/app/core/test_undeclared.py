"""What a route does not know of is refused by name, whoever asks: nothing of a request is quietly left out."""

from typing import Any

import httpx

from tests.app.accounts import Account

NOT_TAKEN = {
    "location": ["body"],
    "message": "Input should be left out: no body is taken here",
    "type": "body_not_taken",
}
BUNDLE = "0" * 64


async def test_an_unknown_query_parameter_is_refused_on_every_route(client: httpx.AsyncClient, admin: Account) -> None:
    paths = (
        *("/", "/livez", "/health", "/predict/AAPL", "/sample-data", "/predictions", "/tickers", "/bars/AAPL"),
        *(
            "/data/versions",
            "/data/quality",
            "/models",
            "/model/info",
            "/promotions",
            "/users",
            "/users/me",
            "/monitor",
        ),
        *("/auth/api-keys", "/challenges", "/metrics", "/api/v1/tickers/"),
    )
    for path in paths:
        answer = await client.get(path, headers=admin.headers, params={"limt": "1"})

        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), path
        assert [error["location"] for error in answer.json()["errors"]] == [["query", "limt"]], path
    posted = await client.post("/auth/refresh?dry_run=1", json={"refresh_token": "x"})
    assert posted.json()["errors"][0]["location"] == ["query", "dry_run"]
    assert (await client.get("/docs?theme=dark")).status_code == 200  # a page, for people


async def test_a_body_is_refused_where_none_is_taken(client: httpx.AsyncClient, admin: Account) -> None:
    """Somebody who sends `force`, or a password to confirm, thinks that it was heeded. An empty object says nothing."""
    asked: list[tuple[str, str, Any, int]] = [
        ("POST", f"/models/{BUNDLE}/promote", {"force": True}, 422),
        ("POST", f"/models/{BUNDLE}/promote", [], 422),
        ("POST", f"/models/{BUNDLE}/promote", {}, 404),
        ("POST", "/model/reload", {"bundle": BUNDLE}, 422),
        ("GET", "/predict/AAPL", {"days_ahead": 1}, 422),
        ("DELETE", "/users/me", {"password": "x"}, 422),
    ]
    for method, path, body, status in asked:
        answer = await client.request(method, path, headers=admin.headers, json=body)

        assert answer.status_code == status, (path, body)
        if status == 422:
            assert answer.json()["errors"] == [NOT_TAKEN], (path, body)
    assert (await client.get("/users/me", headers=admin.headers)).status_code == 200  # and nothing was done
