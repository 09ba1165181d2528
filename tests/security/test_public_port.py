"""What one API process, deployed as it is, lets through its ports: heads, methods, other sites, docs, planted files."""

import json
import os
import pickle
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.core.monitoring.requests import SAFE_HEADERS
from app.supervisor import bounded_protocol
from tests.app.serving import Server, free_port, serving
from tests.database import migrated_template, temporary_database

ROOT = Path(__file__).parents[2]
FRIEND, STRANGER = "https://app.example.org", "https://evil.example"
PROXY = "127.0.0.2"  # any address of 127.0.0.0/8 is this machine: one is trusted, the others are not
INNER_PATHS = ("/docs", "/redoc", "/openapi.json", "/metrics")
PLANTING = """
import os, pickle, signal
def plant(*_):
    try:
        with open(os.environ["PLANTED"], "rb") as file:
            told = repr(pickle.load(file))
    except Exception as error:
        told = type(error).__name__
    with open(os.environ["PLANTED"] + ".told", "w") as file:
        file.write(told)
if "PLANTED" in os.environ:
    import app.supervisor.bounded_protocol
    app.supervisor.bounded_protocol.ARRIVAL_SECONDS = 1.0
    signal.signal(signal.SIGUSR1, plant)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the process."""
    return tmp_path_factory.mktemp("public")


@pytest.fixture(scope="module")
def internal_port() -> int:
    """Where docs and metrics are."""
    return free_port()


@pytest.fixture(scope="module")
def server(folder: Path, internal_port: int) -> Iterator[Server]:
    """A process with these settings and little patience, which unpickles a planted file when SIGUSR1 asks it to."""
    (folder / "bundles").mkdir()
    (folder / "bundles" / "planted").write_bytes(pickle.dumps(Path("a class by name")))
    (folder / "sitecustomize.py").write_text(PLANTING)
    options = {
        "CLOSECAST_INTERNAL_PORT": str(internal_port),
        "CLOSECAST_CORS_ORIGINS": json.dumps([FRIEND]),
        "CLOSECAST_TRUSTED_PROXIES": PROXY,
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        "PLANTED": str(folder / "bundles" / "planted"),
    }
    with temporary_database(migrated_template()) as url, serving(folder, url, "api", **options) as server:
        server.wait_until_alive()
        yield server


def connect(server: Server, source: str = "127.0.0.1") -> socket.socket:
    """A connection from one of this machine's addresses."""
    address = (server.http.base_url.host, server.http.base_url.port or 80)
    return socket.create_connection(address, timeout=10, source_address=(source, 0))


def speak(server: Server, *lines: str, source: str = "127.0.0.1") -> bytes:
    """Send a request as it is; the whole answer."""
    with connect(server, source) as connection:
        connection.sendall("\r\n".join((*lines, "Host: x", "Connection: close", "", "")).encode())
        return whole(connection)


def whole(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def status_of(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer.split()[1])


@pytest.mark.parametrize("path", INNER_PATHS)
def test_v13_4_5_docs_and_metrics_are_at_the_internal_port_alone(path: str, server: Server, internal_port: int) -> None:
    public = server.http.get(path)
    internal = httpx.get(f"http://127.0.0.1:{internal_port}{path}")

    assert (public.status_code, internal.status_code) == (404, 200)
    assert internal.headers["x-content-type-options"] == "nosniff"


def test_v13_4_5_the_internal_port_answers_nothing_else(server: Server, internal_port: int) -> None:
    assert server.http.get("/livez").status_code == 200

    for path in ("/livez", "/users/me", "/predict/AAPL", "/auth/token"):
        assert httpx.get(f"http://127.0.0.1:{internal_port}{path}").status_code == 404


def test_v13_4_5_the_front_page_links_to_nothing_that_is_not_there(server: Server) -> None:
    assert "/docs" not in server.http.get("/", headers={"Accept": "text/html"}).text


def test_v3_4_2_only_a_site_that_is_named_may_read_answers(server: Server) -> None:
    friend = server.http.get("/livez", headers={"Origin": FRIEND})
    stranger = server.http.get("/livez", headers={"Origin": STRANGER})
    forged = server.http.get("/livez", headers={"Origin": f"{FRIEND}.evil.example"})

    assert friend.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-credentials" not in friend.headers
    for answer in (stranger, forged):
        assert "access-control-allow-origin" not in answer.headers


def test_v3_5_2_a_browser_asks_before_it_sends_and_is_told_no(server: Server) -> None:
    asking = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization, x-api-key"}

    friend = server.http.options("/users/me", headers={"Origin": FRIEND, **asking})
    stranger = server.http.options("/users/me", headers={"Origin": STRANGER, **asking})

    assert (friend.status_code, stranger.status_code) == (200, 400)
    assert "access-control-allow-origin" not in stranger.headers


def test_v3_4_1_over_tls_a_browser_is_told_to_stay_there(server: Server) -> None:
    """A proxy that ends TLS says so; anybody else who says so is not believed (V4.1.3)."""
    told = speak(server, "GET /livez HTTP/1.1", "X-Forwarded-Proto: https", source=PROXY)
    forged = speak(server, "GET /livez HTTP/1.1", "X-Forwarded-Proto: https")

    assert b"strict-transport-security: max-age=31536000; includesubdomains" in told.lower()
    assert b"strict-transport-security" not in forged.lower()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"X-Long: {'x' * 17_000}"], id="one long header"),
        pytest.param([f"X-{number}: x" for number in range(120)], id="many headers"),
    ],
)
def test_v15_2_2_a_head_beyond_the_limit_is_a_431(lines: list[str], server: Server) -> None:
    answer = speak(server, "GET /livez HTTP/1.1", *lines)

    assert status_of(answer) == 431
    assert b'"/problems/headers-too-large"' in answer


def test_v15_2_2_a_path_beyond_the_limit_is_a_431(server: Server) -> None:
    assert status_of(speak(server, f"GET /predict/{'A' * 17_000} HTTP/1.1")) == 431


CHUNKED = b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "problem"),
    [
        pytest.param(b"\x00\x01\r\n\r\n", 400, "malformed-request", id="garbage"),
        pytest.param(CHUNKED + b"ZZ\r\n", 400, "malformed-request", id="bad chunk"),
        pytest.param(
            b"GET / HTTP/1.1\r\nX: ".ljust(bounded_protocol.MOST_UNPARSED_BYTES + 1, b"x"),
            431,
            "headers-too-large",
            id="no end",
        ),
    ],
)
def test_v3_4_4_v15_2_2_what_becomes_no_request_is_refused_like_any_other(
    sent: bytes, status: int, problem: str, server: Server
) -> None:
    """Of a head without end that is at its first byte too many: the parser itself would keep whatever comes."""
    with connect(server) as connection:
        connection.sendall(sent)
        head, _, body = whole(connection).partition(b"\r\n\r\n")

    told = set(head.lower().splitlines())
    assert (status_of(head), json.loads(body)["type"]) == (status, f"/problems/{problem}")
    assert {b"%b: %b" % (name, value.lower()) for name, value in SAFE_HEADERS} <= told
    assert b"content-type: application/problem+json" in told


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["Host: y"], id="two hosts"),
        pytest.param(["Authorization: Bearer a", "Authorization: Bearer b"], id="two tokens"),
        pytest.param(["X-Api-Key: a", "X-Api-Key: b"], id="two keys"),
        pytest.param(["Idempotency-Key: a", "Idempotency-Key: b"], id="two idempotency keys"),
        pytest.param(["Content-Type: application/json", "Content-Type: text/plain"], id="two types"),
    ],
)
def test_v4_2_1_a_header_that_could_be_read_in_two_ways_is_refused(lines: list[str], server: Server) -> None:
    answer = speak(server, "GET /livez HTTP/1.1", *lines)

    assert status_of(answer) == 400
    assert b'"/problems/malformed-request"' in answer


def test_v4_2_1_a_host_must_be_named(server: Server) -> None:
    for version, status in (("1.1", 400), ("1.0", 200)):
        with connect(server) as connection:
            connection.sendall(f"GET /livez HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
            assert status_of(whole(connection)) == status


def test_who_asks_for_a_websocket_is_answered_in_http(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
        )
        answer = whole(connection)

    assert status_of(answer) == 200
    assert b"nosniff" in answer


def test_v4_2_1_a_request_with_two_lengths_is_refused(server: Server) -> None:
    answer = speak(server, "POST /auth/refresh HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked")

    assert status_of(answer) == 400


@pytest.mark.parametrize(
    ("method", "status"), [("TRACE", 405), ("CONNECT", 405), ("PROPFIND", 501), ("OPTIONS", 405), ("SPEAK", 400)]
)
def test_v4_1_4_v13_4_4_other_methods_are_blocked(method: str, status: int, server: Server) -> None:
    assert status_of(speak(server, f"{method} /livez HTTP/1.1")) == status


@pytest.mark.parametrize(
    "path", ["/.git/config", "/.env", "/static/", "/docs/files/", "/docs/files/../../.env", "/app/main.py"]
)
def test_v13_4_1_v13_4_3_no_files_of_ours_and_no_lists_of_files(path: str, server: Server, internal_port: int) -> None:
    assert status_of(speak(server, f"GET {path} HTTP/1.1")) == 404
    assert httpx.get(f"http://127.0.0.1:{internal_port}{path}").status_code == 404


def test_v1_5_2_a_started_process_unpickles_no_planted_file(server: Server, folder: Path) -> None:
    told = folder / "bundles" / "planted.told"
    os.kill(server.process.pid, signal.SIGUSR1)
    deadline = time.monotonic() + 30
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert told.read_text() == "PlantedCodeError"
    assert server.http.get("/livez").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: x\r\n", id="half a head"),
        pytest.param(b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", id="half a body"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\n", id="half a second request"),
    ],
)
def test_v15_2_2_a_request_that_does_not_arrive_is_given_up(sent: bytes, server: Server) -> None:
    """Whoever sends slowly holds a connection for `ARRIVAL_SECONDS`, here one second."""
    with connect(server) as connection:
        connection.sendall(sent)
        assert 0.5 < seconds_until_closed(connection) < 15.0


def test_v15_2_2_an_empty_line_after_an_answer_is_given_up(server: Server) -> None:
    """It makes uvicorn forget that the connection is idle, and is no request."""
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(65_536)
        while not answer.endswith(b"}"):
            answer += connection.recv(65_536)
        connection.sendall(b"\r\n")
        assert 0.5 < seconds_until_closed(connection) < 15.0


def seconds_until_closed(connection: socket.socket) -> float:
    """How long the other side waits for more."""
    started = time.monotonic()
    whole(connection)
    return time.monotonic() - started
