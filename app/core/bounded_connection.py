"""A connection that gives up by itself: the server's own deadlines do not reach us when the way to it is stuck."""

import asyncio
import os
import socket
from typing import Any

import psycopg

MARGIN_SECONDS = 0.5  # PostgreSQL's own word about a statement that takes too long is the better one


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """Breaks off whatever waits for the server longer than ``deadline_seconds``: it is then a lost connection.

    A proxy, or a network that swallows packets behind one, takes bytes and says nothing: neither the server's
    `statement_timeout` nor TCP's own timers end that.
    """

    usual_seconds: float
    deadline_seconds: float

    def allow(self, seconds: float | None) -> None:
        """Wait so long for each answer from now on; None: as long as usual."""
        self.deadline_seconds = MARGIN_SECONDS + (self.usual_seconds if seconds is None else seconds)

    async def wait(self, *arguments: Any, **options: Any) -> Any:
        """See ``psycopg.AsyncConnection``: all of its talking with the server comes through here."""
        breaking_off = asyncio.get_running_loop().call_later(self.deadline_seconds, self._break_off)
        try:
            return await super().wait(*arguments, **options)
        finally:
            breaking_off.cancel()

    def _break_off(self) -> None:
        """Let libpq read an end of file, as from a server that died: closing its socket here would leave it watched."""
        if not self.closed:
            with socket.socket(fileno=os.dup(self.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


async def connect_bounded(*arguments: Any, deadline_seconds: float, **options: Any) -> BoundedConnection:
    """A connection with this deadline, and a margin, on each statement; `connect_timeout` bounds the connecting."""
    connection = await BoundedConnection.connect(*arguments, **options)
    connection.usual_seconds = deadline_seconds
    connection.allow(None)
    return connection
