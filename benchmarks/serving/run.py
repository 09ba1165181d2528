"""What a warm forecast costs: ours, ours without its log, bare ASGI, bare FastAPI, and the way tutorials have it.

    benchmarks/serving/run --out docs/serving-benchmarks.md

Everything that is needed is started here: PostgreSQL, the servers on one core, the load on the others. The servers are
measured in turn, round by round, and medians are told: only ratios within one run mean anything. Three minutes; the
first time half a minute more, in which a small network is trained.
"""

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import httpx
import psycopg

from benchmarks.serving import engines, page, plots, servers
from benchmarks.serving.installation import Installation, copy_windows, drop_windows, installed
from benchmarks.serving.servers import Measured, Server

NAMES = {
    "ours": "Closecast, everything on",
    "without_log": "Closecast, log off",
    "bare_asgi": "bare ASGI function",
    "bare_fastapi": "bare FastAPI, same model",
    "tutorial": "the tutorial way",
}
HOME = Path(".closecast/serving-benchmark")
TICKERS, ACCOUNTS, AHEAD = 10, 4, 512
CONNECTIONS = (16, 64)
LONGER = {"tutorial": 5}  # times as long: it answers some ten a second
STARTS, OPEN_ROUNDS = 3, 2


@dataclass(frozen=True)
class Figures:
    """All rounds of one server under one kind of load."""

    rounds: list[Measured]

    def of(self, name: str) -> float:
        """The median of one figure."""
        return median(float(getattr(each, name)) for each in self.rounds)


Results = dict[tuple[str, int], Figures]


def main() -> int:
    """Measure and write; 0, or 1 where a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="kept between runs")
    parser.add_argument("--bundle", type=Path, help="a network bundle; none: a small one is trained")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one server in one round")
    parser.add_argument("--out", type=Path, help="the page to write into, and an SVG beside it; none: standard output")
    told = parser.parse_args()
    servers.leave_the_servers_core()
    with installed(told.home, bundle=told.bundle, tickers=TICKERS, accounts=ACCOUNTS) as installation:
        text, picture, failed = _measure(installation, told.rounds, told.seconds)
    if told.out is None:
        print(text)
    else:
        page.write_part(told.out, "run", text)
        told.out.with_name("serving-benchmarks-warm.svg").write_text(picture, encoding="utf-8")
    return 1 if failed else 0


def _measure(installation: Installation, rounds: int, seconds: float) -> tuple[str, str, int]:
    home = installation.settings.home
    metrics = home / "metrics"
    answer = home / "answer.json"
    environment = installation.environment(PROMETHEUS_MULTIPROC_DIR=str(metrics), BENCHMARK_ANSWER=str(answer))
    requests = servers.write_requests(home / "requests.json", _requests(installation))
    starts = [_start_seconds(environment, metrics, home) for _ in range(STARTS)]
    with ExitStack() as stack:
        running: dict[str, Server] = {}
        for name in NAMES:
            ready = "/readyz" if name in {"ours", "without_log"} else "/predict/AAPL"
            running[name] = stack.enter_context(servers.serving(name, environment, ready=ready, log=home / "log"))
            if name == "ours":
                answer.write_bytes(_one_answer(installation, running[name]))
                _make_tutorial_table(installation)
        closed = _closed(running, requests, rounds, seconds)
        resident = {name: server.resident_mb() for name, server in running.items()}
        opened = _open(running, requests, closed, seconds)
    engine = engines.measure(_champion(installation))
    ahead = _ahead(installation)
    failed = sum(each.failed for figures in (*closed.values(), *opened.values()) for each in figures.rounds)
    text = "\n\n".join(
        (
            f"Measured {page.machine()}. {rounds} rounds of {seconds:g} s each, medians; {failed} requests failed.",
            _targets(closed, engine, starts, resident),
            _closed_table(closed),
            _open_table(opened),
            _engine_text(engine, ahead),
        )
    )
    shown = {NAMES[name]: closed[name, 16].of("per_second") for name in NAMES}
    return text, plots.bars("Answers a second, 16 connections, one worker", shown, ours=NAMES["ours"]), failed


def _requests(installation: Installation) -> list[tuple[str, list[str]]]:
    tokens = installation.tokens
    return [
        (f"/predict/{ticker}?days_ahead=5", [f"Authorization: Bearer {tokens[number % len(tokens)]}"])
        for number, ticker in enumerate(installation.tickers)
    ]


def _start_seconds(environment: dict[str, str], metrics: Path, home: Path) -> float:
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir()
    with servers.serving("ours", environment, ready="/readyz", log=home / "log") as server:
        return server.ready_seconds


def _one_answer(installation: Installation, server: Server) -> bytes:
    headers = {"Authorization": f"Bearer {installation.tokens[0]}"}
    url = f"http://127.0.0.1:{server.port}/predict/{installation.tickers[0]}?days_ahead=5"
    return httpx.get(url, headers=headers, timeout=30).raise_for_status().content


def _make_tutorial_table(installation: Installation) -> None:
    with psycopg.connect(installation.database_url) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tutorial_predictions "
            "(id bigserial PRIMARY KEY, ticker text, predictions float8[], at timestamptz DEFAULT now())"
        )


def _closed(running: dict[str, Server], requests: Path, rounds: int, seconds: float) -> Results:
    kinds = [(name, n) for n in CONNECTIONS for name in running if (name, n) != ("tutorial", CONNECTIONS[1])]
    taken: dict[tuple[str, int], list[Measured]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):  # the first round warms up and is not counted
        for name, connections in kinds:
            longer = seconds * LONGER.get(name, 1)
            measured = servers.put_load(running[name], requests, connections=connections, seconds=longer)
            print(f"{number} {name} {connections}: {measured}", file=sys.stderr)
            if number:
                taken[name, connections].append(measured)
    return {key: Figures(found) for key, found in taken.items()}


def _open(running: dict[str, Server], requests: Path, closed: Results, seconds: float) -> Results:
    """Half of what each was able to do, arriving at random."""
    found = {}
    for name, server in running.items():
        rate, longer = max(closed[name, 16].of("per_second") / 2, 1.0), 2 * seconds * LONGER.get(name, 1)
        found[name, 64] = Figures(
            [servers.put_load(server, requests, connections=64, seconds=longer, rate=rate) for _ in range(OPEN_ROUNDS)]
        )
    return found


def _champion(installation: Installation) -> Path:
    with psycopg.connect(installation.database_url) as connection:
        row = connection.execute("SELECT bundle_id FROM promotions ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    return installation.settings.bundles / str(row[0])


def _ahead(installation: Installation) -> float:
    """Forecasts a second that the worker makes ahead, of tickers that have none yet."""
    # Names of their own for each run: what was frozen once stays frozen.
    tickers = [f"AHEAD{time.time_ns() // 1_000_000_000}-{number}" for number in range(AHEAD)]
    copy_windows(installation, tickers)
    try:
        return engines.precompute_rate(installation.settings, AHEAD)
    finally:
        drop_windows(installation, tickers)


def _targets(closed: Results, engine: engines.EngineFigures, starts: list[float], resident: dict[str, float]) -> str:
    def rate(name: str, connections: int = 16) -> float:
        return closed[name, connections].of("per_second")

    def cost(name: str) -> float:
        return closed[name, 16].of("cpu_microseconds")

    ours64 = closed["ours", 64]
    rows = (
        ("warm: × bare ASGI, answers a second", rate("ours") / rate("bare_asgi"), "≥", 0.20),
        ("warm: × bare ASGI, processor time of the server", cost("bare_asgi") / cost("ours"), "≥", 0.20),
        ("warm: × the tutorial way", rate("ours") / rate("tutorial"), "≥", 400.0),
        ("warm: × the same with the log off", rate("ours") / rate("without_log"), "≥", 0.80),
        ("p99 over p50 at 64 connections", ours64.of("p99_ms") / ours64.of("p50_ms"), "≤", 4.0),
        ("cold: network over ONNX Runtime by itself", engine.cold_ratio, "≤", 1.3),
        ("ahead: network's windows a second, × ONNX Runtime's, 512 at once", engine.batch_ratio, "≥", 0.8),
        ("start to ready, s", median(starts), "≤", 3.0),
        ("resident memory × the tutorial way's", resident["ours"] / resident["tutorial"], "≤", 0.3),
    )
    lines = [(what, f"{sign} {aim:g}", f"{found:.3g}", _reached(found, sign, aim)) for what, found, sign, aim in rows]
    memory = f"Resident: {resident['ours']:.0f} MiB, the tutorial way {resident['tutorial']:.0f} MiB."
    return f"{page.table(('figure', 'aim', 'measured', 'reached'), lines)}\n\n{memory}"


def _reached(found: float, sign: str, aim: float) -> str:
    return "yes" if (found >= aim if sign == "≥" else found <= aim) else "**no**"


def _closed_table(closed: Results) -> str:
    rows = [
        (
            NAMES[name],
            str(connections),
            f"{figures.of('per_second'):,.0f}",
            f"{figures.of('p50_ms'):.2f}",
            f"{figures.of('p99_ms'):.2f}",
            f"{figures.of('cpu_microseconds'):,.0f}",
            f"{figures.of('loader_share'):.2f}",
        )
        for (name, connections), figures in closed.items()
    ]
    head = ("closed model", "connections", "answers/s", "p50 ms", "p99 ms", "server's µs an answer", "loader's core")
    return page.table(head, rows)


def _open_table(opened: Results) -> str:
    rows = [
        (
            NAMES[name],
            f"{figures.of('per_second'):,.0f}",
            f"{figures.of('p50_ms'):.2f}",
            f"{figures.of('p90_ms'):.2f}",
            f"{figures.of('p99_ms'):.2f}",
        )
        for (name, _), figures in opened.items()
    ]
    return page.table(("open model, at half its own rate", "answers/s", "p50 ms", "p90 ms", "p99 ms"), rows)


def _engine_text(engine: engines.EngineFigures, ahead: float) -> str:
    rows = (
        ("one window, ONNX Runtime by itself", f"{engine.one_by_runtime * 1e6:,.0f} µs"),
        ("one window, our engine", f"{engine.one_by_us * 1e6:,.0f} µs"),
        ("one whole forecast: columns, network, calibration", f"{engine.one_whole_forecast * 1e6:,.0f} µs"),
        ("512 windows, ONNX Runtime by itself", f"{engines.BATCH / engine.many_by_runtime:,.0f} windows/s"),
        ("512 windows, our engine", f"{engines.BATCH / engine.many_by_us:,.0f} windows/s"),
        ("the worker's task: read, forecast, freeze", f"{ahead:,.0f} tickers/s"),
    )
    return page.table(("the network", "median"), rows)


if __name__ == "__main__":
    sys.exit(main())
