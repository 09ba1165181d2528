"""How the cost grows: with stored tickers, with the prediction log, with workers, with the tickers of one batch.

    benchmarks/serving/growth --out docs/serving-benchmarks.md

Each stays flat or linear, or the page says where not. Ten million log rows take about 3 GB of disk and most of the
time; ``--rows`` stops earlier, and so does a disk with less than twice that free. What was generated is deleted.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import psycopg

from app.features.stock_prediction.partitions import partition_of
from benchmarks.serving import engines, page, plots, servers
from benchmarks.serving.installation import Installation, copy_windows, drop_windows, installed
from benchmarks.serving.plots import Point
from benchmarks.serving.servers import Measured, Server

HOME = Path(".closecast/serving-benchmark")
TICKERS = (10, 100, 1_000, 10_000)
ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
WORKERS = (1, 2, 3, 4)
BATCHES = (1, 3, 10, 30, 100)
BYTES_PER_ROW = 300  # with its indexes
ROUNDS = 3
REPEATS = 15

ASKED = """
SELECT users.id, forecasts.id FROM users, forecasts WHERE email = 'benchmark-0@example.org' LIMIT 1
"""
FILL = """
INSERT INTO prediction_log (route, latency_ms, user_id, request_id, forecast_id, days_ahead, id, answered_at)
SELECT 'GET /predict/{ticker}', 1.0, %s, 'growth', %s, 5, gen_random_uuid(), %s + n * interval '1 microsecond'
FROM generate_series(%s::bigint, %s::bigint) AS n
"""


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="kept between runs")
    parser.add_argument("--bundle", type=Path, help="a network bundle; none: a small one is trained")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--tickers", type=int, default=TICKERS[-1], help="at most so many")
    parser.add_argument("--rows", type=int, default=ROWS[-1], help="at most so many")
    parser.add_argument("--out", type=Path, help="the page to write into, and an SVG beside it; none: standard output")
    told = parser.parse_args()
    servers.leave_the_servers_core()
    with installed(told.home, bundle=told.bundle, tickers=10, accounts=4) as installation:
        growth = Growth(installation, told.seconds)
        tickers = growth.by_tickers([n for n in TICKERS if n <= told.tickers])
        workers = growth.by_workers()
        batches = growth.by_batch()
        rows = growth.by_rows([n for n in ROWS if n <= told.rows])
    parts = (tickers, rows, workers, batches)
    shown = "![How the cost grows](serving-benchmarks-growth.svg)"
    text = "\n\n".join([f"Measured {page.machine()}.", *(part.table for part in parts), shown])
    picture = plots.panels([(part.title, part.unit, part.curves) for part in parts])
    if told.out is None:
        print(text)
    else:
        page.write_part(told.out, "growth", text)
        told.out.with_name("serving-benchmarks-growth.svg").write_text(picture, encoding="utf-8")
    return 0


class Part:
    """One thing that grows, and what was measured at each size."""

    def __init__(self, title: str, unit: str, names: Sequence[str]) -> None:
        self.title, self.unit, self.names = title, unit, names
        self.rows: list[tuple[float, ...]] = []

    def add(self, size: float, *values: float) -> None:
        """What was measured at one size."""
        self.rows.append((size, *values))
        print(f"{self.title}: {size:,.0f}: {values}", file=sys.stderr)

    @property
    def curves(self) -> list[tuple[str, list[Point]]]:
        """As the plot takes them."""
        return [(name, [(row[0], row[1 + n]) for row in self.rows]) for n, name in enumerate(self.names)]

    @property
    def table(self) -> str:
        """As the page shows them."""
        rows = [(f"{size:,.0f}", *map(_figure, values)) for size, *values in self.rows]
        return page.table((self.unit, *self.names), rows)


class Growth:
    """All measurements on one installation."""

    def __init__(self, installation: Installation, seconds: float) -> None:
        self._installation, self._seconds = installation, seconds
        self._home = installation.settings.home
        self._headers = {"Authorization": f"Bearer {installation.tokens[0]}"}

    def by_tickers(self, sizes: Sequence[int]) -> Part:
        """All stored tickers are asked for in turn; each once before, which is the first asking of its forecast."""
        part = Part("Tickers stored", "tickers", ["server's µs an answer", "made ahead: ms a ticker"])
        tickers = [f"G{time.time_ns() // 1_000_000_000}-{number}" for number in range(sizes[-1])]
        stored = 0
        engines.make_ahead(self._installation.settings)  # the installation's own, which are not counted
        try:
            for size in sizes:
                copy_windows(self._installation, tickers[stored:size])
                ahead = engines.precompute_rate(self._installation.settings, size - stored)
                stored = size
                with self._serving() as (server,):
                    part.add(size, self._cost(server, tickers[:size]), 1000 / ahead)
        finally:
            drop_windows(self._installation, tickers)
        return part

    def by_rows(self, sizes: Sequence[int]) -> Part:
        """The log is filled with rows of the asking user; its page of history is read as well."""
        part = Part("Rows in the prediction log", "rows", ["server's µs an answer", "GET /predictions, ms"])
        with self._filling() as fill, self._serving() as (server,):
            for size in sizes:
                if size * BYTES_PER_ROW * 2 > shutil.disk_usage(self._home).free:
                    print(f"too little disk for {size:,} rows", file=sys.stderr)
                    break
                fill(size)
                with httpx.Client(base_url=server.url, headers=self._headers, timeout=60) as client:
                    page_ms = _median_ms(partial(client.get, "/predictions"))
                part.add(size, self._cost(server, self._installation.tickers), page_ms)
        return part

    def by_workers(self) -> Part:
        """As many processes as are asked for on one socket, on all cores, which they share with load and database."""
        part = Part("Workers on one socket", "workers", ["answers/s", "servers' µs an answer"])
        for size in WORKERS:
            with self._serving(size, cores=set(servers.CORES)) as group:
                measured = self._loads(group, self._installation.tickers, connections=64)
                cpu = median(sum(each.server_share for each in round_) for round_ in measured)
                rate = median(round_[0].per_second for round_ in measured)
                if not rate:
                    raise RuntimeError("no answer came in the time: the machine is too busy, or give it more --seconds")
                part.add(size, rate, cpu / rate * 1e6)
        return part

    def by_batch(self) -> Part:
        """One request for several tickers, all of them forecast before."""
        part = Part("Tickers in one batch", "tickers", ["POST /predict/batch, ms"])
        tickers = [f"B{time.time_ns() // 1_000_000_000}-{number}" for number in range(BATCHES[-1])]
        copy_windows(self._installation, tickers)
        try:
            with (
                self._serving() as (server,),
                httpx.Client(base_url=server.url, headers=self._headers, timeout=60) as client,
            ):
                for size in BATCHES:
                    part.add(size, _median_ms(partial(_ask_for, client, tickers[:size])))
        finally:
            drop_windows(self._installation, tickers)
        return part

    def _cost(self, server: Server, tickers: Sequence[str]) -> float:
        """Processor time of one warm answer, in µs; each ticker was asked for once before."""
        with httpx.Client(base_url=server.url, headers=self._headers, timeout=60) as client:
            for ticker in tickers:
                client.get(f"/predict/{ticker}").raise_for_status()
        return median(round_[0].cpu_microseconds for round_ in self._loads([server], tickers))

    def _loads(self, group: Sequence[Server], tickers: Sequence[str], *, connections: int = 16) -> list[list[Measured]]:
        tokens = self._installation.tokens
        requests = servers.write_requests(
            self._home / "requests.json",
            [
                (f"/predict/{ticker}", [f"Authorization: Bearer {tokens[number % len(tokens)]}"])
                for number, ticker in enumerate(tickers)
            ],
        )
        return [
            servers.put_load_on(group, requests, connections=connections, seconds=self._seconds) for _ in range(ROUNDS)
        ]

    @contextmanager
    def _serving(self, size: int = 1, cores: set[int] | None = None) -> Iterator[list[Server]]:
        metrics = self._home / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        environment = self._installation.environment(PROMETHEUS_MULTIPROC_DIR=str(metrics), CLOSECAST_WORKERS=str(size))
        with servers.serving_together(
            ["ours"] * size, environment, ready="/readyz", log=self._home / "log", cores=cores
        ) as group:
            yield group

    @contextmanager
    def _filling(self) -> Iterator[Callable[[int], None]]:
        """A function that fills the log up to a number of rows; all rows are gone at the end."""
        month, start, _ = partition_of(datetime.now(UTC), 0)
        with psycopg.connect(self._installation.database_url, autocommit=True) as connection:
            asked = connection.execute(ASKED).fetchone()
            assert asked is not None, "something was forecast before"
            connection.execute(f"TRUNCATE {month}")
            # Foreign keys are not checked row by row: ten million look-ups are not what is measured.
            connection.execute("SET session_replication_role = replica")
            filled = 0

            def fill(size: int) -> None:
                nonlocal filled
                connection.execute(FILL, (*asked, datetime.fromisoformat(start), filled + 1, size))
                connection.execute(f"ANALYZE {month}")
                filled = size

            try:
                yield fill
            finally:
                connection.execute(f"TRUNCATE {month}")


def _ask_for(client: httpx.Client, tickers: Sequence[str]) -> None:
    client.post("/predict/batch", json={"tickers": list(tickers)}).raise_for_status()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _median_ms(call: Callable[[], object]) -> float:
    call()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
