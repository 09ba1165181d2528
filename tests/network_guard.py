"""Keeps the tests off the real network, whatever library they use."""

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

# Nothing listens on the discard port; what asks through it is refused at once.
_NOWHERE = "http://127.0.0.1:9"


class RealNetworkError(Exception):
    """A test reached for the real network. Not an OSError, which clients take for an outage and retry."""


@dataclass
class NetworkGuard:
    """Refuses connections and look-ups of all but loopback addresses; ``refused`` names what was tried."""

    refused: list[str] = field(default_factory=list)

    @classmethod
    def install(cls, patch: pytest.MonkeyPatch) -> Self:
        """Stand before Python's own sockets until ``patch`` is undone."""
        guard = cls()
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard._before_connecting(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", guard._before_looking_up(socket.getaddrinfo))
        return guard

    def _before_connecting(self, connect: Any) -> Any:
        def guarded(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                self._check(address[0])
            return connect(sock, address)

        return guarded

    def _before_looking_up(self, look_up: Any) -> Any:
        def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
            self._check(host)
            return look_up(host, *arguments, **options)

        return guarded

    def _check(self, host: str | bytes | None) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if not _is_here(name):
            self.refused.append(str(name))
            raise RealNetworkError(name)


def dead_proxies() -> dict[str, str]:
    """Environment under which libraries with sockets of their own (libcurl, Rust) get nowhere; children inherit it."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE) | {"NO_PROXY": "127.0.0.1,localhost"}
    return proxies | {name.lower(): value for name, value in proxies.items()}


def _is_here(host: str | None) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
