"""A server that is all that can be wrong with one: it answers 500, it hangs, it is gone, each in its turn."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["fails", "hangs"]


@dataclass
class FaultyServer:
    """Listens on loopback; ``asked`` counts the requests that were read, ``waiting`` is set once one hangs."""

    fault: Fault
    port: int = 0
    asked: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket | None = None
    _held: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Take connections from now on, at the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def go_away(self) -> None:
        """Refuse connections from now on and cut those that are open."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in self._held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._held.clear()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = listener.accept()
                self._held.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if not connection.recv(65536):
                return
            self.asked += 1
            if self.fault == "hangs":
                self.waiting.set()
                return
            connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()


@contextmanager
def faulty_server(fault: Fault) -> Iterator[FaultyServer]:
    """One that listens, gone at the end of the block."""
    server = FaultyServer(fault)
    server.listen()
    try:
        yield server
    finally:
        server.go_away()
