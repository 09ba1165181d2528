"""What every request leaves behind, and what every answer carries."""

import json
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from starlette.responses import StreamingResponse

from app.core.database import DbSession
from app.core.monitoring.logging import configure_logging
from tests.app.accounts import Account

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CANARIES = {
    "password": "canary-password-1",
    "token": "canary-token-2",
    "query": "canary-query-3",
    "bound": "canary@example.org",
}


@pytest.fixture
async def logged_client(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[AsyncClient]:
    """A client of an application that logs its requests."""
    configure_logging("INFO")
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        capsys.readouterr()
        yield client
    configure_logging("ERROR")  # as the other tests want it


def request_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The one line of each request."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == "request"]


async def test_a_request_is_one_line_with_its_route_and_its_place_in_the_trace(
    logged_client: AsyncClient, registered_user: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    sent = {"X-Request-ID": "r-1", "traceparent": TRACEPARENT}

    started = perf_counter()
    answer = await logged_client.get("/api/v1/problems/expired-token/", headers=sent)
    took_ms = 1000 * (perf_counter() - started)

    (line,) = request_lines(capsys)
    assert answer.headers["x-request-id"] == line["request_id"] == "r-1"
    assert line["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/problems/{slug}", 200)
    assert 0 < line["latency_ms"] <= took_ms  # however long it takes on a busy machine
    assert "expired-token" not in json.dumps(line)


async def test_unknown_paths_and_methods_are_one_word_each(
    logged_client: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await logged_client.get("/wp-login.php")
    await logged_client.request("BREW", "/livez")

    unknown_path, unknown_method = request_lines(capsys)
    assert (unknown_path["method"], unknown_path["route"], unknown_path["status"]) == ("GET", "none", 404)
    assert (unknown_method["method"], unknown_method["status"]) == ("unknown", 501)


async def test_an_unforeseen_error_is_logged_whole_under_the_request_s_id(
    app: FastAPI, logged_client: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.get("/fails/{how}")
    async def fails(how: str) -> None:
        raise KeyError("nobody foresaw this")

    await logged_client.get("/fails/badly", headers={"X-Request-ID": "r-2"})

    error, request = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (error["level"], error["route"], error["request_id"]) == ("error", "/fails/{how}", "r-2")
    assert "nobody foresaw this" in error["exception"]
    assert request["status"] == 500


async def test_a_statement_that_fails_is_logged_without_the_values_bound_to_it(
    app: FastAPI, logged_client: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.get("/fails")
    async def fails(db: DbSession) -> None:
        await db.execute(text("SELECT :bound FROM no_such_table"), {"bound": CANARIES["bound"]})

    assert (await logged_client.get("/fails")).status_code == 500

    written = capsys.readouterr().err
    assert "no_such_table" in written
    assert "canary" not in written


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(app: FastAPI, logged_client: AsyncClient) -> None:
    """Its status was sent already, so only the connection can tell."""

    async def two_parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise KeyError("nobody foresaw this")

    @app.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        return StreamingResponse(two_parts())

    with pytest.raises(KeyError):
        await logged_client.get("/breaks-off")


async def test_every_answer_carries_safe_headers(client: httpx.AsyncClient, registered_user: Account) -> None:
    answers = [
        await client.get("/livez"),
        await client.get("/no/such/route"),
        await client.get("/users/me", headers=registered_user.headers),
        await client.request("BREW", "/livez"),
        await client.post("/auth/token", content=b"x" * 300_000),
        await client.get("/docs"),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 32
        assert "access-control-allow-origin" not in answer.headers  # no other site reads our answers
        assert "strict-transport-security" not in answer.headers  # means nothing on plain HTTP


async def test_over_tls_browsers_are_told_to_stay_there(app: FastAPI) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="https://test") as client:
        answer = await client.get("/livez")

    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_no_secret_comes_out_anywhere(
    logged_client: AsyncClient, registered_user: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is sent as a password or a token, rightly or wrongly, is in no log, no metric and no answer."""
    client, password, token = logged_client, CANARIES["password"], CANARIES["token"]
    spoken = [
        await client.post("/auth/register", json={"email": "x@example.org", "password": password}),
        await client.post("/auth/register", json={"email": "x@example.org", "password": password}),
        await client.post("/auth/register", json={"email": "x", "password": {"deep": password}}),
        await client.post("/auth/token", data={"username": "x@example.org", "password": password + "!"}),
        await client.post("/auth/token", data={"username": "x", "passwort": password, "client_secret": password}),
        await client.post("/auth/token", json={"username": "x", "password": password}),
        await client.post("/auth/refresh", json={"refresh_token": token}),
        await client.post("/auth/refresh", json={"refresh_token": [token]}),
        await client.post("/auth/refresh", content=f'{{"refresh_token": "{token}'.encode()),
        await client.get("/users/me", headers={"Authorization": f"Bearer {token}"}),
        await client.get(f"/livez?access_token={CANARIES['query']}"),
        await client.get(f"/no/route/{CANARIES['query']}?token={token}"),
        await client.post(
            "/users/me/password",
            json={"current_password": password, "new_password": password},
            headers=registered_user.headers,
        ),
        await client.get("/metrics"),
    ]

    written = capsys.readouterr().err
    told = "\n".join([written, *(answer.text for answer in spoken), *(str(answer.headers) for answer in spoken)])
    assert len(written.splitlines()) >= len(spoken)
    assert [canary for canary in CANARIES.values() if canary in told] == []
    assert registered_user.access_token not in told
    assert registered_user.password not in told
    assert "argon2" not in told
