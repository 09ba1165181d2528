"""The port: taken once by the supervisor, so that requests wait, not fail, while an API process is started again."""

import errno
import os
import socket
import time

from app.supervisor.errors import ServiceError

LISTEN_FD = "CLOSECAST_LISTEN_FD"
BACKLOG = 2048
PATIENCE_SECONDS = 3.0  # processes of a killed supervisor give the port back as they end
PORTS_TRIED = 100


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ServiceError where the port stays taken or the address is not ours, or is none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _bound(host, port)
        except UnicodeError as error:  # of the name's encoding: a label is empty or too long
            raise ServiceError(f"cannot listen on {host} port {port}: that is no name of a host") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ServiceError(f"cannot listen on {host} port {port}: {error.strerror}") from error
            if time.monotonic() > deadline:
                raise ServiceError(f"port {port} is taken: set CLOSECAST_PORT to another one") from error
            time.sleep(0.1)


def check_port(host: str, port: int) -> None:
    """Raise what `listen` would: said before anything slow is started that needs the port."""
    listen(host, port).close()


def listen_among(host: str, port: int) -> socket.socket:
    """A listening socket beside those of our other API processes at the same port: whichever is free answers.

    Raises ServiceError where another program has the port.
    """
    try:
        return _bound(host, port, shared=True)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {host} port {port} (CLOSECAST_INTERNAL_PORT): {error.strerror}"
        ) from error


def free_port(host: str, first: int) -> int:
    """The first port from ``first`` on that nobody listens on."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        try:
            _bound(host, port).close()
        except OSError:
            continue
        return port
    raise ServiceError(f"no free port from {first} on: set CLOSECAST_PORT")


def inherited_sockets() -> list[socket.socket] | None:
    """The socket that the supervisor passed on, if there is one."""
    descriptor = os.environ.pop(LISTEN_FD, None)
    return None if descriptor is None else [socket.socket(fileno=int(descriptor))]


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
