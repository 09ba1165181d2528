"""The guard that keeps every test off the real network does refuse."""

import socket
import subprocess
import sys

import pytest
from curl_cffi import requests

from tests.network_guard import NetworkGuard, RealNetworkError

ELSEWHERE = "192.0.2.1"  # TEST-NET-1: belongs to nobody


def test_a_connection_elsewhere_is_refused_and_noted(network_guard: NetworkGuard) -> None:
    """Both ways of connecting are guarded; what was noted would fail the test at its end."""
    with socket.socket() as plain:
        with pytest.raises(RealNetworkError):
            plain.connect((ELSEWHERE, 443))
        with pytest.raises(RealNetworkError):
            plain.connect_ex((ELSEWHERE, 443))
    assert network_guard.refused == [ELSEWHERE, ELSEWHERE]
    network_guard.refused.clear()


def test_a_name_is_not_looked_up(network_guard: NetworkGuard) -> None:
    """Not even the name server hears of it."""
    with pytest.raises(RealNetworkError):
        socket.create_connection(("query2.finance.yahoo.com", 443), timeout=1)
    assert network_guard.refused == ["query2.finance.yahoo.com"]
    network_guard.refused.clear()


def test_loopback_is_open() -> None:
    """Servers of the tests' own can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_libcurl_gets_nowhere() -> None:
    """yfinance's client has sockets of its own: the proxy that it finds in the environment refuses."""
    with requests.Session() as session, pytest.raises(requests.exceptions.RequestException, match=r"127\.0\.0\.1"):
        session.get("https://query2.finance.yahoo.com/", timeout=5)


def test_a_child_process_gets_nowhere() -> None:
    """Processes that tests start inherit the dead end."""
    child = subprocess.run(
        [sys.executable, "-c", "import urllib.request; urllib.request.urlopen('http://example.com', timeout=5)"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "Connection refused" in child.stderr
