"""A small HTTP client that keeps its connection and knows when an answer did not come whole."""

import asyncio
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

ANSWER_SECONDS = 20.0


class NoWholeAnswerError(Exception):
    """The connection was refused, broke off or stayed silent: what became of the request is not known."""


@dataclass(frozen=True)
class HttpAnswer:
    """One whole answer; header names are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class HttpClient:
    """One connection at a time to one port of 127.0.0.1; a context manager that closes it."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._headers = headers
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._drop()

    async def ask(self, method: str, path: str, *, body: object = None, **headers: str) -> HttpAnswer:
        """Send one request and read its answer; a name in ``headers`` has ``_`` where HTTP has ``-``.

        Raises
        ------
        NoWholeAnswerError
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._ask(method, path, body, headers)
        except (OSError, EOFError, ValueError) as error:  # a time-out is an OSError, a head cut off a ValueError
            self._drop()
            raise NoWholeAnswerError(type(error).__name__) from error

    async def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> HttpAnswer:
        await self._drop_what_is_closed()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = b"" if body is None else json.dumps(body).encode()
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if content:
            sent |= {"content-type": "application/json", "content-length": str(len(content))}
        lines = [f"{method} {path} HTTP/1.1", "host: closecast", *(f"{name}: {value}" for name, value in sent.items())]
        writer.write("\r\n".join((*lines, "", "")).encode() + content)
        await writer.drain()
        return await self._read(reader)

    async def _drop_what_is_closed(self) -> None:
        """Ask nothing over a connection that was silent until the other side closed it; nobody's client would."""
        for _ in range(2):  # one turn of the loop sees what came while this process waited for a core, one handles it
            await asyncio.sleep(0)
        if self._streams is not None and (self._streams[0].at_eof() or self._streams[0].exception() is not None):
            self._drop()

    async def _read(self, reader: asyncio.StreamReader) -> HttpAnswer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        received = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        body = await reader.readexactly(int(received.get("content-length", 0)))
        if received.get("connection", "").lower() == "close":
            self._drop()
        return HttpAnswer(int(head[0].split()[1]), received, body)

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
