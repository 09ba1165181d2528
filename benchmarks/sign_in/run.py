"""What a flood of sign-ins costs forecasts, what admission costs a warm request, and what a refusal's time tells.

    .venv/bin/python -m benchmarks.sign_in.run

The server has one core, hashing included; the load and PostgreSQL have the others. Forecasts are asked for at a fixed
rate with and without the flood in turn, round by round, and medians are told. Two minutes; the first time half a
minute more, in which a small network is trained.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from statistics import median
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import httpx
from fastapi import FastAPI, Request
from scipy.stats import mannwhitneyu

from benchmarks.serving import page, servers
from benchmarks.serving.installation import Installation, installed
from benchmarks.serving.run import HOME
from benchmarks.serving.servers import Server

FORECASTS_PER_SECOND, GUESSES_PER_SECOND = 200.0, 100.0  # the server hashes some 35 a second
ADMISSIONS = 5_000
ACCOUNTS = 50  # so many tries has one account at once, so no more than that many pairs each


@dataclass
class Flooded:
    """Latencies of forecasts without and with a flood, and what the guesses were answered."""

    idle_p50: list[float] = field(default_factory=list)
    idle_p99: list[float] = field(default_factory=list)
    flooded_p50: list[float] = field(default_factory=list)
    flooded_p99: list[float] = field(default_factory=list)
    failed: int = 0
    guesses: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="kept between runs")
    parser.add_argument("--bundle", type=Path, help="a network bundle; none: a small one is trained")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a round")
    parser.add_argument("--pairs", type=int, default=1_000, help="known and unknown accounts, in turn")
    told = parser.parse_args()
    servers.leave_the_servers_core()
    with installed(told.home, bundle=told.bundle, tickers=1, accounts=1) as installation:
        settings = installation.settings.model_copy(
            update={
                "trusted_proxies": "127.0.0.1",
                "sign_in_requests_per_minute": 1_000_000_000,
                "wrong_passwords_per_address": 1_000_000_000,
            }
        )
        (settings.home / "metrics").mkdir(exist_ok=True)
        environment = Installation(settings, installation.tickers, installation.tokens).environment(
            PROMETHEUS_MULTIPROC_DIR=str(settings.home / "metrics")
        )
        with servers.serving("ours", environment, ready="/readyz", log=settings.home / "log") as server:
            flooded = flood(server, installation, told.rounds, told.seconds)
            times = refusals(server, installation, told.pairs)
        admission = asyncio.run(admission_microseconds(installation))
    print(report(flooded, times, admission, f"{told.rounds} rounds of {told.seconds:g} s, medians."))
    return 0


def flood(server: Server, installation: Installation, rounds: int, seconds: float) -> Flooded:
    """Ask for forecasts with and without guesses beside them, in turn."""
    found = Flooded()
    path = f"/predict/{installation.tickers[0]}"
    headers = [f"Authorization: Bearer {installation.tokens[0]}"]
    requests = servers.write_requests(installation.settings.home / "requests.json", [(path, headers)])

    def forecasts() -> servers.Measured:
        return servers.put_load(server, requests, connections=16, seconds=seconds, rate=FORECASTS_PER_SECOND)

    forecasts()  # the first one is computed
    for number in range(rounds):
        idle = forecasts()
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.sign_in.flood", "--port", str(server.port)),
                *("--first", str(number * 20_000), "--seconds", str(seconds + 2), "--rate", str(GUESSES_PER_SECOND)),
            ],
            stdout=subprocess.PIPE,
        ) as guessing:
            asyncio.run(asyncio.sleep(1.0))
            under_way = forecasts()
            told, _ = guessing.communicate()
        found.guesses.update(json.loads(told))
        found.failed += idle.failed + under_way.failed
        found.idle_p50.append(idle.p50_ms)
        found.idle_p99.append(idle.p99_ms)
        found.flooded_p50.append(under_way.p50_ms)
        found.flooded_p99.append(under_way.p99_ms)
    return found


def refusals(server: Server, installation: Installation, pairs: int) -> tuple[list[float], list[float]]:
    """Milliseconds of wrong passwords of known and of unknown accounts, in turn, each from another address."""
    run = token_hex(4)  # accounts of former runs may still be braked
    asyncio.run(make_accounts(installation, run))
    known, unknown = [], []
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as http:

        def milliseconds(email: str, number: int) -> float:
            form = {"username": email, "password": "not the password"}
            address = ".".join(str(part) for part in (11, *number.to_bytes(3, "big")))
            started = perf_counter()
            answer = http.post("/auth/token", data=form, headers={"X-Forwarded-For": address})
            took = (perf_counter() - started) * 1000
            if answer.status_code != HTTPStatus.UNAUTHORIZED:
                raise RuntimeError(answer.text)
            return took

        for number in range(pairs):
            known.append(milliseconds(f"known-{run}-{number % ACCOUNTS}@example.org", 2 * number))
            unknown.append(milliseconds(f"nobody-{run}-{number % ACCOUNTS}@example.org", 2 * number + 1))
    return known, unknown


async def make_accounts(installation: Installation, run: str) -> None:
    """Accounts with a real password."""
    from app.core.passwords import PasswordHasher
    from app.models.user import Scope, User
    from app.supervisor.one_session import one_session

    passwords = PasswordHasher()
    hashed = await passwords.hash(token_hex(16))
    passwords.close()
    async with one_session(installation.settings) as db:
        for number in range(ACCOUNTS):
            db.add(User(email=f"known-{run}-{number}@example.org", password_hash=hashed, scopes=[Scope.PREDICT]))
        await db.commit()


async def admission_microseconds(installation: Installation) -> tuple[float, float]:
    """What it takes to know who asks, to count it against both limits, and to say so: warm, and with a query."""
    from app.core.database import create_engine, session_factory
    from app.core.identities import Identities
    from app.core.limits import Limits
    from app.core.security import admit_forecast, tokens_from

    engine = create_engine(installation.settings)
    sessions = session_factory(engine)
    app = FastAPI()
    tokens = tokens_from(installation.settings)
    app.state.identities = identities = Identities(partial(tokens.verify, kind="access"), sessions)
    app.state.limits = limits = Limits(installation.settings, sessions)
    headers = [(b"authorization", f"Bearer {installation.tokens[0]}".encode())]

    async def admit() -> float:
        started = perf_counter()
        principal = await admit_forecast(Request({"type": "http", "app": app, "headers": headers, "state": {}}))
        took = (perf_counter() - started) * 1e6
        if len(cold) < ADMISSIONS // 10:
            identities.forget(principal.user_id)
        return took

    cold: list[float] = []
    for _ in range(ADMISSIONS // 10):
        cold.append(await admit())  # noqa: PERF401 (each looks at how many there are)
    warm = [await admit() for _ in range(ADMISSIONS)]
    await limits.close()
    await engine.dispose()
    return median(warm), median(cold)


def report(flooded: Flooded, times: tuple[list[float], list[float]], admission: tuple[float, float], told: str) -> str:
    """The figures in Markdown."""
    known, unknown = times
    guesses = sum(flooded.guesses.values())
    answered = ", ".join(f"{count / guesses:.0%} {status}" for status, count in flooded.guesses.most_common())
    rows = [
        ("alone", f"{median(flooded.idle_p50):.2f}", f"{median(flooded.idle_p99):.2f}"),
        ("beside the flood", f"{median(flooded.flooded_p50):.2f}", f"{median(flooded.flooded_p99):.2f}"),
    ]
    ratios = sorted(after / before for before, after in zip(flooded.idle_p99, flooded.flooded_p99, strict=True))
    p_value = mannwhitneyu(known, unknown).pvalue
    return "\n\n".join(
        (
            f"Measured {page.machine()}. {told}",
            f"**Flood.** {FORECASTS_PER_SECOND:g} forecasts a second beside {GUESSES_PER_SECOND:g} guesses a second "
            f"from other addresses; {flooded.failed} forecasts failed; guesses were answered {answered}.",
            page.table(("GET /predict/{ticker}", "p50 (ms)", "p99 (ms)"), rows),
            f"p99 beside the flood: {median(ratios):.2f} × p99 alone (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f}).",
            f"**Time of a refusal.** {len(known):,} pairs: median {median(known):.2f} ms of known accounts, "
            f"{median(unknown):.2f} ms of unknown ones; Mann–Whitney p = {p_value:.3f}.",
            f"**Admission** of a forecast (who asks, burst, daily share, headers): {admission[0]:.0f} µs warm, "
            f"{admission[1]:.0f} µs where the database is asked who it is.",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
