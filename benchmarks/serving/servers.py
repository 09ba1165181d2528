"""Starting servers and putting load on them, each on cores of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from app.supervisor.listening import LISTEN_FD

START_SECONDS = 90.0  # TensorFlow alone takes nine
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = {CORES[0]}  # the rest is for the loader and PostgreSQL
OTHER_CORES = set(CORES[1:]) or SERVER_CORES


def leave_the_servers_core() -> None:
    """This process, and whatever it starts from now on (PostgreSQL, loaders), stays off the servers' core."""
    os.sched_setaffinity(0, OTHER_CORES)


@dataclass(frozen=True)
class Server:
    """One process that answers on a port of its own."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    ready_seconds: float

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def serving(
    name: str, environment: Mapping[str, str], *, ready: str, log: Path, cores: set[int] | None = None
) -> Iterator[Server]:
    """A contender that answers ``ready`` with 200; ended on leaving."""
    with serving_together([name], environment, ready=ready, log=log, cores=cores) as (server,):
        yield server


@contextmanager
def serving_together(
    names: Sequence[str], environment: Mapping[str, str], *, ready: str, log: Path, cores: set[int] | None = None
) -> Iterator[list[Server]]:
    """Processes on one socket, as the supervisor starts them; ``cores`` None: the servers' own."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        port = listening.getsockname()[1]
        started = time.monotonic()
        processes = [_start(name, environment, listening.fileno(), log, cores or SERVER_CORES) for name in names]
        try:
            _wait(processes, f"http://127.0.0.1:{port}{ready}", log)
            seconds = time.monotonic() - started
            yield [Server(name, each, port, seconds) for name, each in zip(names, processes, strict=True)]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def _start(
    name: str, environment: Mapping[str, str], descriptor: int, log: Path, cores: set[int]
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.contenders", name],
            env={**environment, LISTEN_FD: str(descriptor)},
            pass_fds=[descriptor],
            stderr=written,
            stdout=written,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )


def _wait(processes: Sequence["subprocess.Popen[bytes]"], url: str, log: Path) -> None:
    """Return when the first one answers, several after as many seconds more: one socket does not tell them apart."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=1.0) as client:
        while time.monotonic() < deadline and all(process.poll() is None for process in processes):
            with suppress(httpx.TransportError):  # the socket listens before anybody reads from it
                if client.get(url).status_code == HTTPStatus.OK:
                    time.sleep(len(processes) - 1)
                    return
            time.sleep(0.02)
    raise RuntimeError(f"{url} does not get ready, see {log}")


@dataclass(frozen=True)
class Measured:
    """One run of the loader against one server."""

    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    loader_share: float
    server_share: float
    failed: int

    @property
    def cpu_microseconds(self) -> float:
        """Of the server, per answer."""
        return self.server_share / self.per_second * 1e6


Requests = Sequence[tuple[str, Sequence[str]]]


def put_load(
    server: Server, requests: Path, *, connections: int, seconds: float, rate: float | None = None
) -> Measured:
    """Run the loader; ``rate`` None is the closed model."""
    (measured,) = put_load_on([server], requests, connections=connections, seconds=seconds, rate=rate)
    return measured


def put_load_on(
    group: Sequence[Server], requests: Path, *, connections: int, seconds: float, rate: float | None = None
) -> list[Measured]:
    """The same on processes that share a socket: all figures but the server's own are those of the whole group."""
    mode = ["--mode", "closed"] if rate is None else ["--mode", "open", "--rate", str(rate)]
    used = [server.cpu_seconds() for server in group]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.serving.loader", "--port", str(group[0].port)),
            *("--requests", str(requests), "--connections", str(connections), "--seconds", str(seconds), *mode),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    shares = [(server.cpu_seconds() - before) / seconds for server, before in zip(group, used, strict=True)]
    told: dict[str, Any] = json.loads(done.stdout)
    good = told["statuses"].get("200", 0)
    return [
        Measured(
            per_second=good / seconds,
            p50_ms=told["p50_ms"],
            p90_ms=told["p90_ms"],
            p99_ms=told["p99_ms"],
            loader_share=told["loader_share"],
            server_share=share,
            failed=sum(told["statuses"].values()) - good,
        )
        for share in shares
    ]


def write_requests(path: Path, requests: Requests) -> Path:
    """What the loader sends, in turn."""
    path.write_text(json.dumps(requests))
    return path
