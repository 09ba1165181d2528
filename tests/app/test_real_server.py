"""Two API processes as they are deployed: own interpreters, real sockets, one database, one metrics folder."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic, sleep
from typing import Any

import httpx
import psycopg
import pytest

from tests.app.serving import SECRET, Server, serving
from tests.database import migrated_template, temporary_database

PASSWORD = "seven green herons wade"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The one that both processes have."""
    with temporary_database(migrated_template()) as url:
        yield url


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[list[Server]]:
    """Two processes on one database."""
    folder = tmp_path_factory.mktemp("servers")
    (folder / "metrics").mkdir()
    with ExitStack() as stack:
        shared = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
        behind_a_proxy = {"CLOSECAST_TRUSTED_PROXIES": "127.0.0.1"}
        started = [
            stack.enter_context(serving(folder, database, "first", **shared)),
            stack.enter_context(serving(folder, database, "second", **shared, **behind_a_proxy)),
        ]
        for server in started:
            server.wait_until_alive()
        yield started


@pytest.fixture(scope="module")
def tokens(servers: list[Server]) -> dict[str, str]:
    """What the first process gave a user who registered there."""
    account = {"email": "jane@example.org", "password": PASSWORD}
    assert servers[0].http.post("/auth/register", json=account).status_code == 201
    return sign_in(servers[0])


def sign_in(server: Server, email: str = "jane@example.org", password: str = PASSWORD) -> dict[str, str]:
    """Tokens from one process."""
    form = {"username": email, "password": password}
    answer = server.http.post("/api/v1/auth/token/", data=form)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    """What a request with an access token carries."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def speak(server: Server, request: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes as they are; status and problem document of the answer."""
    address = (server.http.base_url.host, server.http.base_url.port or 80)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head, body = received.split(b"\r\n\r\n", 1)
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def seconds_until_refused(server: Server, headers: dict[str, str]) -> float:
    """How long what was good at a process a moment ago stays good there."""
    started = monotonic()
    while monotonic() - started < 5:
        if server.http.get("/users/me", headers=headers).status_code == 401:
            break
        sleep(0.02)
    return monotonic() - started


def test_v7_4_1_v7_4_2_v7_4_3_v8_3_2_what_ends_at_one_process_ends_at_all_within_a_second(
    servers: list[Server], tokens: dict[str, str], database: str
) -> None:
    """Signing out, revoking a key, a changed password, disabling; the other process remembers each of them."""
    first, second = servers
    account = {"email": "joe@example.org", "password": PASSWORD}
    made = first.http.post("/auth/register", json=account)
    ended: dict[str, float] = {}

    def end(name: str, opened_by: dict[str, str], method: str, path: str, **request: Any) -> None:
        for server in servers:
            assert server.http.get("/users/me", headers=opened_by).status_code == 200
        answer = second.http.request(method, path, **request)
        assert answer.is_success, answer.text
        assert second.http.get("/users/me", headers=opened_by).status_code == 401
        ended[name] = seconds_until_refused(first, opened_by)

    joe = sign_in(first, "joe@example.org")
    end("signing out", bearer(joe), "POST", "/auth/logout", json={"refresh_token": joe["refresh_token"]})
    me = bearer(sign_in(first, "joe@example.org"))
    wish = {"name": "report", "scopes": ["predict"]}
    keys = [first.http.post("/auth/api-keys", json=wish, headers=me).json() for _ in range(2)]
    end("a key", {"X-API-Key": keys[0]["key"]}, "DELETE", f"/auth/api-keys/{keys[0]['id']}", headers=me)
    change = {"current_password": PASSWORD, "new_password": "eleven quiet tides return"}
    end("a password", me, "POST", "/users/me/password", json=change, headers=me)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE users SET scopes = '{predict,admin}' WHERE email = 'jane@example.org'")
    path, disable = f"/users/{made.json()['id']}", {"disabled": True}
    end("an account", {"X-API-Key": keys[1]["key"]}, "PATCH", path, json=disable, headers=bearer(tokens))

    assert max(ended.values()) < 1.0, ended


def test_v4_1_3_a_client_names_its_own_address_only_through_a_proxy_that_the_settings_trust(
    servers: list[Server], tokens: dict[str, str]
) -> None:
    """A refresh may be retried by the same client from the same address, so it tells which address was believed."""
    first, second = servers

    def retry_elsewhere(server: Server) -> list[int]:
        body = {"refresh_token": sign_in(server)["refresh_token"]}
        forwarded = ("203.0.113.5", "198.51.100.9, 203.0.113.5", "203.0.113.5, 198.51.100.9")  # the last is the proxy's
        return [
            server.http.post("/auth/refresh", json=body, headers={"X-Forwarded-For": address}).status_code
            for address in forwarded
        ]

    assert retry_elsewhere(first) == [200, 200, 200]  # whatever it says, it is one client
    assert retry_elsewhere(second) == [200, 200, 401]


def test_v10_4_5_parallel_refreshes_at_both_processes_give_one_new_head(
    servers: list[Server], tokens: dict[str, str]
) -> None:
    body = {"refresh_token": sign_in(servers[0])["refresh_token"]}

    def refresh(number: int) -> httpx.Response:
        return servers[number % 2].http.post("/auth/refresh", json=body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(refresh, range(24)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


def test_each_process_tells_the_requests_of_both(servers: list[Server]) -> None:
    def count(server: Server) -> float:
        text = server.http.get("/metrics").text
        match = re.search(r'^http_requests_total\{handler="/problems/\{slug\}".*\} ([\d.]+)$', text, re.MULTILINE)
        return float(match[1]) if match else 0.0

    before = count(servers[0])
    for server in (servers[0], servers[0], servers[1]):
        server.http.get("/problems/internal")

    assert count(servers[0]) == count(servers[1]) == before + 3


@pytest.mark.parametrize(
    "target",
    ["/predict/../../etc/passwd", "/predict/..%2F..%2Fetc%2Fpasswd", "/api/v1/predict/..%5c..%5cx/", "/predict/%00"],
)
def test_a_path_in_the_place_of_a_ticker_is_a_malformed_ticker(
    servers: list[Server], tokens: dict[str, str], target: str
) -> None:
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {tokens['access_token']}",
        "Connection: close",
    )

    status, document = speak(servers[0], "\r\n".join([*lines, "", ""]).encode())

    assert (status, document["type"]) == (422, "/problems/malformed-ticker")


def test_a_ticker_of_ten_kilobytes_is_refused(servers: list[Server], tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    answer = servers[0].http.get(f"/predict/{'A' * 10_240}", headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/malformed-ticker")
    assert len(answer.text) < 1_000


def test_a_body_without_end_is_cut_off(servers: list[Server]) -> None:
    head = b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    status, document = speak(servers[0], head + 5 * chunk)  # and no last chunk

    assert (status, document["type"]) == (413, "/problems/body-too-large")


def test_both_logs_are_json_from_the_first_line_and_hold_no_secret(
    servers: list[Server], tokens: dict[str, str]
) -> None:
    for server in servers:
        written = server.log.read_text()
        lines = [json.loads(line) for line in written.splitlines()]
        assert {"request_id", "traceparent", "route", "status", "latency_ms"} <= set(lines[-1])
        assert any(line.get("logger") == "uvicorn.error" for line in lines)
        for secret in (SECRET, PASSWORD, tokens["access_token"], tokens["refresh_token"], "etc/passwd"):
            assert secret not in written
