"""The client that the faults are watched with blames nobody for a connection that was closed while it was silent."""

import asyncio
import time

import pytest

from tests.faults.http_client import HttpClient, NoWholeAnswerError

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection after an answer, and say nothing of it."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(WHOLE)
    writer.close()


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a request and never answer it."""
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_a_connection_that_was_closed_while_it_was_silent_is_not_asked() -> None:
    async with await asyncio.start_server(answers_once, "127.0.0.1", 0) as server, client_of(server) as http:
        for _ in range(3):
            assert (await http.ask("GET", "/")).status == 200
            await asyncio.sleep(0.01)
            time.sleep(0.01)  # noqa: ASYNC251 (this process does not get a core)


async def test_a_request_that_was_taken_and_not_answered_is_told() -> None:
    async with await asyncio.start_server(breaks_off, "127.0.0.1", 0) as server, client_of(server) as http:
        with pytest.raises(NoWholeAnswerError):
            await http.ask("GET", "/")


def client_of(server: asyncio.Server) -> HttpClient:
    """Asks it."""
    return HttpClient(server.sockets[0].getsockname()[1], {})
