"""A TCP proxy before the database, which cuts, holds and delays what passes through it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from app.supervisor.postgres import EmbeddedPostgres

CHUNK = 65_536
Result = TypeVar("Result")


def way_to(server: EmbeddedPostgres) -> Path:
    """A server's socket; where the server is away, a socket that nobody listens on."""
    postmaster = server.postmaster()
    folder = server.folder if postmaster is None else postmaster.socket_folder
    return folder / ".s.PGSQL.5432"


class TcpProxy:
    """One port of 127.0.0.1 that leads to a Unix socket; it lives in a thread of its own.

    Parameters
    ----------
    upstream : tells, at each connection, where the socket lies.
    """

    def __init__(self, upstream: Callable[[], Path]) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._delay_seconds = 0.0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def database_url(self, database: str) -> str:
        """A database of the server behind it, as libpq spells it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def cut(self) -> int:
        """Break every connection off, and give their number; new ones are let through."""
        return self._call(self._cut())

    def hold(self) -> None:
        """Take every byte, new connections too, and pass nothing on: a network that went silent."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def let_through(self) -> None:
        """Pass on what was held and what comes."""
        self._loop.call_soon_threadsafe(self._open.set)

    def delay(self, seconds: float) -> None:
        """Pass each piece on so much later."""
        self._delay_seconds = seconds

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()

    async def _cut(self) -> int:
        broken = list(self._connections)
        for connection in broken:
            connection.cancel()
        await asyncio.gather(*broken, return_exceptions=True)
        return len(broken)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways until either side ends, or until it is cut."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        upstream: asyncio.StreamWriter | None = None
        # A server that is away looks as it does without a proxy: the connection ends. Being cut is no error here.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._open.wait()
            upstream_reader, upstream = await asyncio.open_unix_connection(str(self._upstream()))
            both = self._pass(reader, upstream), self._pass(upstream_reader, writer)
            ways = [asyncio.create_task(each) for each in both]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        for each in (writer, upstream):
            if each is not None:
                each.transport.abort()
        self._connections.discard(connection)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(CHUNK):
                await asyncio.sleep(self._delay_seconds)
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
