"""The whole path as its users walk it: B3 bars from a file, an API process on a real socket, rows in PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import psycopg
import pytest

from app.config import Settings
from app.core.security import tokens_from
from tests.app.serving import SECRET, Server, serving
from tests.database import migrated_template, temporary_database
from tests.made_up_bars import make_bars

TICKER = "PETR3.SA"
PASSWORD = "seven green herons wade"
LONG_TICKER = "A" * 10_000


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A migrated database of this file's own."""
    with temporary_database(migrated_template()) as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Server]:
    """A running API whose champion is the reference and whose one ticker came through `closecast collect`."""
    home = tmp_path_factory.mktemp("whole path")
    bars = home / "bars.parquet"
    _write_bars(bars)
    _closecast(home, database, "migrate")
    _closecast(home, database, "collect", "--source", "files", "--path", str(bars))
    with serving(home, database, "api") as started:
        started.wait_until_alive()
        yield started


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """The access token of a user who registered and signed in."""
    return _sign_in(server, "jane@example.org")["access_token"]


def test_a_stored_b3_ticker_is_answered_frozen_logged_and_counted(server: Server, token: str, database: str) -> None:
    before = _answered(server)

    answer = _predict(server, TICKER, token)

    assert answer.status_code == 200, answer.text
    forecast = answer.json()
    assert (forecast["exchange"], forecast["currency"], forecast["kind"]) == ("BVMF", "BRL", "hindcast")
    with psycopg.connect(database) as connection:
        frozen = connection.execute("SELECT ticker FROM forecasts WHERE id = %s", [forecast["forecast_id"]]).fetchall()
        logged = connection.execute(
            "SELECT count(*) FROM prediction_log WHERE forecast_id = %s", [forecast["forecast_id"]]
        ).fetchone()
    assert frozen == [(TICKER,)]
    assert logged == (1,)
    assert _answered(server) == before + 1


@pytest.mark.parametrize("kind", ["wrong", "expired", "refresh"])
def test_a_token_that_is_none_is_refused(server: Server, kind: str) -> None:
    signed_in = _sign_in(server, f"{kind}@example.org")
    presented = {
        "wrong": signed_in["access_token"][:-4] + "AAAA",
        "expired": _expired(signed_in["access_token"]),
        "refresh": signed_in["refresh_token"],
    }[kind]

    refused = _predict(server, TICKER, presented)

    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    wanted = "expired-token" if kind == "expired" else "invalid-token"
    assert refused.json()["type"] == f"/problems/{wanted}"


def test_another_users_forecast_is_not_found(server: Server, token: str) -> None:
    forecast_id = _predict(server, TICKER, token).json()["forecast_id"]
    stranger = _sign_in(server, "stranger@example.org")["access_token"]

    refused = server.http.get(f"/forecasts/{forecast_id}", headers={"Authorization": f"Bearer {stranger}"})

    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/forecast-not-found")


@pytest.mark.parametrize(
    "ticker", ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2F..%2Fetc%2Fpasswd", LONG_TICKER]
)
def test_what_is_no_ticker_is_a_problem_and_reaches_no_source(server: Server, token: str, ticker: str) -> None:
    address = server.http.base_url
    with httpx.Client(timeout=30) as http:
        refused = http.get(f"{address}/predict/{ticker}", headers={"Authorization": f"Bearer {token}"})

    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.status_code in {404, 414, 422}
    if "etc" not in ticker or "%" in ticker:  # a client may resolve plain dots itself, and then asks for another path
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/malformed-ticker")


def _write_bars(path: Path) -> None:
    bars = make_bars(900, seed=5)
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    days = bars.trading_day.astype("datetime64[D]").astype("datetime64[ms]")
    pl.DataFrame(
        {"ticker": np.full(len(bars), TICKER), "date": pl.Series(days).cast(pl.Date), **columns}
    ).write_parquet(path)


def _closecast(home: Path, database: str, *arguments: str) -> None:
    own = {"CLOSECAST_HOME": str(home), "CLOSECAST_DATABASE_URL": database, "CLOSECAST_JWT_SECRET": SECRET}
    subprocess.run([sys.executable, "-m", "cli", *arguments], env={**os.environ, **own}, check=True, timeout=400)


def _sign_in(server: Server, email: str) -> dict[str, str]:
    server.http.post("/auth/register", json={"email": email, "password": PASSWORD})
    answer = server.http.post("/auth/token", data={"username": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens


def _expired(token: str) -> str:
    """The same sign-in's access token, signed by the server's own key an hour ago for a quarter of one."""
    tokens = tokens_from(Settings(jwt_secret=SECRET, _env_file=None))
    claims = tokens.verify(token, "access")
    hour_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    quarter = timedelta(minutes=15)
    return tokens.sign("access", user_id=claims.sub, sign_in_id=claims.sid, lifetime=quarter, issued_at=hour_ago)


def _predict(server: Server, ticker: str, token: str) -> httpx.Response:
    return server.http.get(f"/predict/{ticker}", headers={"Authorization": f"Bearer {token}"})


def _answered(server: Server) -> float:
    """Forecasts answered, by the server's own count."""
    lines = server.http.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("closecast_forecasts_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts if 'outcome="computed"' in line or "repeated" in line)
