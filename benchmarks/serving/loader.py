"""The load generator: one process, one core, HTTP/1.1 keep-alive connections on uvloop.

``--mode closed``: each connection sends its next request when the last one was answered. ``--mode open``: requests
come at random instants (a Poisson process of ``--rate`` a second) whether or not earlier ones were answered; a latency
is counted from the instant at which its request was due, so that waiting for a free connection is part of it.

It prints one JSON document: how many answers of which status, how long, latencies in milliseconds, and which share of
its own core it used: near 1 the loader, not the server, would be what is measured.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, on_answer: Callable[["Connection", int], None]) -> None:
        self._on_answer = on_answer
        self._held = b""
        self._due = 0.0
        self.transport: asyncio.Transport
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True

    def send(self, request: bytes, due: float) -> None:
        """Send one request that was due at ``due``."""
        self._due = due
        self.transport.write(request)

    @property
    def waited_ms(self) -> float:
        """Since the present request was due."""
        return (time.perf_counter() - self._due) * 1000

    def data_received(self, data: bytes) -> None:
        held = self._held + data if self._held else data
        end = held.find(HEAD_END)
        if end < 0 or len(held) < end + len(HEAD_END) + _length(held, end):
            self._held = held
            return
        self._held = b""
        self._on_answer(self, int(held[9:12]))


def _length(answer: bytes, end: int) -> int:
    head = answer[:end].lower()
    start = head.find(LENGTH)
    if start < 0:
        raise ValueError("an answer without Content-Length is not understood here")
    stop = head.find(b"\r\n", start)
    return int(head[start + len(LENGTH) : stop if stop >= 0 else end])


class Load:
    """One run against one server.

    Parameters
    ----------
    requests : sent in turn, over and over.
    """

    def __init__(self, requests: Sequence[bytes], seconds: float) -> None:
        self._requests = requests
        self._sent = 0
        self._seconds = seconds
        self._stop_at = 0.0
        self.statuses: Counter[int] = Counter()
        self.latencies_ms: list[float] = []

    async def closed(self, host: str, port: int, connections: int) -> None:
        """Send as fast as answers come."""
        everyone = await self._connect(host, port, connections, self._send_next)
        self._stop_at = time.perf_counter() + self._seconds
        for connection in everyone:
            self._send(connection, time.perf_counter())
        await asyncio.sleep(self._seconds)
        await self._finish(everyone)

    async def open(self, host: str, port: int, connections: int, rate: float) -> None:
        """Send when requests are due, ``rate`` a second."""
        idle: deque[Connection] = deque()
        overdue: deque[float] = deque()

        def answered(connection: Connection, status: int) -> None:
            self._count(connection, status)
            if overdue:
                self._send(connection, overdue.popleft())
            else:
                idle.append(connection)

        everyone = await self._connect(host, port, connections, answered)
        idle.extend(everyone)
        drawn = random.Random(7)  # noqa: S311 (arrivals, no secrets)
        due = time.perf_counter()
        self._stop_at = due + self._seconds
        while due < self._stop_at:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if idle:
                self._send(idle.popleft(), due)
            else:
                overdue.append(due)
            due += drawn.expovariate(rate)
        await self._finish(everyone, until=lambda: len(idle) == len(everyone))

    async def _connect(
        self, host: str, port: int, connections: int, on_answer: Callable[[Connection, int], None]
    ) -> list[Connection]:
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(lambda: Connection(on_answer), host, port) for _ in range(connections)]
        return [connection for _, connection in made]

    def _send(self, connection: Connection, due: float) -> None:
        connection.send(self._requests[self._sent % len(self._requests)], due)
        self._sent += 1

    def _send_next(self, connection: Connection, status: int) -> None:
        now = time.perf_counter()
        if now <= self._stop_at:  # what is answered later is not counted: it would lengthen the run
            self._count(connection, status)
            self._send(connection, now)

    def _count(self, connection: Connection, status: int) -> None:
        self.statuses[status] += 1
        self.latencies_ms.append(connection.waited_ms)

    async def _finish(self, everyone: list[Connection], until: Callable[[], bool] = lambda: True) -> None:
        for _ in range(200):
            if until():
                break
            await asyncio.sleep(0.01)
        if any(connection.lost for connection in everyone):
            raise ConnectionError("the server closed a connection")
        for connection in everyone:
            connection.transport.close()


def request(path: str, headers: Sequence[str]) -> bytes:
    """One GET as it goes over the wire."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: benchmark", *headers, "", "")).encode()


def percentile(values: Sequence[float], share: int) -> float:
    """The smallest value that ``share`` per cent do not exceed; 0 of nothing."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)] if values else 0.0


def main() -> None:
    """Run the load that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True, help="JSON: a list of [path, [header, …]]")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--mode", choices=["closed", "open"], default="closed")
    parser.add_argument("--rate", type=float, default=100.0)
    told = parser.parse_args()
    load = Load([request(path, headers) for path, headers in json.loads(told.requests.read_text())], told.seconds)
    used, started = time.process_time(), time.perf_counter()
    if told.mode == "closed":
        uvloop.run(load.closed("127.0.0.1", told.port, told.connections))
    else:
        uvloop.run(load.open("127.0.0.1", told.port, told.connections, told.rate))
    took = time.perf_counter() - started
    print(
        json.dumps(
            {
                "statuses": load.statuses,
                "seconds": told.seconds,
                "per_second": len(load.latencies_ms) / told.seconds,
                "loader_share": (time.process_time() - used) / took,
                **{f"p{share}_ms": percentile(load.latencies_ms, share) for share in (50, 90, 99)},
            }
        )
    )


if __name__ == "__main__":
    main()
