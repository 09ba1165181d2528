"""The life of a model in one walk, as docs/tutorial.md tells it, on real US and B3 bars: run by `make walk`.

The forecasts are live ones: they are made under a clock that the test sets, each before its first target day opens, on
bars of a source that gives no later ones.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.jobs import WorkerTools
from app.features.after_close import work
from app.features.market_data import collecting
from app.features.market_data.service import publish_windows
from app.features.stock_prediction.precomputing import precompute_forecasts
from app.features.track_record.service import ScoredRun, score_final_steps
from data_pipeline.sources.base import FetchedBars
from data_pipeline.sources.file_source import FileSource
from tests.app.serving import SECRET, Server, serving
from tests.cli.conftest import Closecast
from tests.shared_data import shared_file

US = ("AAPL", "CAT", "JNJ", "KO", "MSFT", "PG", "XOM")
B3 = ("CMIG3.SA", "PETR3.SA", "VALE3.SA")
TICKERS = (*US, *B3)
TRAINED_ON = date(2024, 5, 31)  # the newest bar that the training sees
LATER = date(2024, 9, 30)  # the newest bar that the scores see
FORECAST_DAYS = 21  # on which at least 200 forecasts are made: a holiday is one market's, not the other's
SPACE = """
base: demo
parameters:
  hidden_size: [4, 8]
  learning_rate: {low: 0.001, high: 0.01, log: true, points: 3}
  lookback: [20, 40]
"""
PASSWORD = "seven green herons wade"


class SourceOfThatDay(FileSource):
    """Real bars up to a day, told as a live source would have told them then."""

    until: date = TRAINED_ON

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """See ``PriceSource``."""
        day_after = self.until + timedelta(days=1)
        fetched = super().fetch_bars(ticker, start, day_after if end is None else min(end, day_after))
        return replace(fetched, live=True)


@dataclass
class Past:
    """An installation whose clock and whose newest bars the test sets."""

    settings: Settings
    source: SourceOfThatDay
    now: datetime

    def stand_after(self, day: date) -> None:
        """Its bars are final by now, and no market of the next day is open yet."""
        self.source.until = day
        self.now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=5)

    @asynccontextmanager
    async def tools(self) -> AsyncIterator[WorkerTools]:
        """What a worker of that time works with."""
        engine = create_engine(self.settings)
        try:
            yield WorkerTools(self.settings, session_factory(engine), clock=lambda: self.now)
        finally:
            await engine.dispose()

    async def forecast_each_day(self, days: Sequence[date]) -> int:
        """Collect and forecast after each of these days; gives the number of forecasts."""
        made = 0
        async with self.tools() as tools:
            for day in days:
                self.stand_after(day)
                await work.collect_now(tools, TICKERS)
                made += await precompute_forecasts(tools)
        return made

    async def score(self, day: date) -> ScoredRun:
        """Let the later bars come, and score."""
        self.stand_after(day)
        async with self.tools() as tools:
            await work.collect_now(tools, TICKERS)
            scored = await score_final_steps(tools)
            assert (await score_final_steps(tools)).scored == 0  # a second time finds nothing
        return scored

    async def keep_window(self, ticker: str, day: date) -> None:
        """Have what a worker builds when somebody asks for a past day."""
        window = collecting.build_window(self.settings, ticker, day)
        async with self.tools() as tools, tools.sessions() as db:
            await publish_windows(db, [window])


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A folder with the real bars of both markets."""
    folder = tmp_path / "bars"
    folder.mkdir()
    for name, tickers in (("us_panel_2010_2026", US), ("b3_panel_2015_2025", B3)):
        rows = pl.read_parquet(shared_file(f"data/{name}.parquet"))
        rows.filter(pl.col("ticker").is_in(tickers)).write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def past(database: str, home: Path, bars: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    """The installation, standing at the end of the training's bars."""
    monkeypatch.setenv("CLOSECAST_JWT_SECRET", SECRET)
    monkeypatch.setenv("CLOSECAST_TRACKING", "false")
    source = SourceOfThatDay(bars, name="files")
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: source)
    return Past(Settings(_env_file=None), source, datetime(2024, 6, 1, tzinfo=UTC))


@pytest.mark.timeout(1500)  # two searches, one of them on Ray, and two trainings
def test_from_bars_to_scores_and_back(closecast: Closecast, past: Past, bars: Path, tmp_path: Path) -> None:
    def run(*arguments: str, accepted: Sequence[int] = (0,)) -> Any:
        done = closecast(*arguments, "--json")
        assert done.code in accepted, (arguments, done.err)
        return json.loads(done.out)

    told: list[str] = []
    run("migrate")
    # collect
    until = str(TRAINED_ON + timedelta(days=1))
    collected = run("collect", *TICKERS, "--source", "files", "--path", str(bars), "--end", until)
    assert {each["outcome"] for each in collected["tickers"]} == {"added"}
    assert run("data", "check", "--config", "demo")["passed"]

    # tune, on this machine and on Ray
    space, best = tmp_path / "space.yaml", tmp_path / "best_config.yaml"
    space.write_text(SPACE)
    asked = ("--trials", "10", "--space", str(space), "--folds", "2", "--every", "10", "--workers", "2")
    for backend in ("local", "ray"):
        tuned = run("tune", *asked, "--backend", backend, "--study", f"walk-{backend}")
        assert [len(tuned["trials"]), tuned["skill"]["n_trials"]] == [10, 10], tuned
        told.append(
            _told(
                f"tuned on {backend}", tuned["skill"], "n_complete", "n_days", "gain", "p_alone", "p_corrected", "label"
            )
        )

    # champion → train → gate → promote
    run("champion", "--study", "walk-local", "--out", str(best))
    bundle = run("train", "--config", str(best), "--tickers", ",".join(TICKERS))["bundle"]
    verdict = run("promote", bundle, accepted=(0, 5))
    assert verdict["n_days"] >= 200
    told.append(_told("gate", verdict, "passed", "n_days", "reasons"))
    if not verdict["passed"]:  # a small network on ten tickers need not beat the reference
        run("promote", bundle, "--force", "--reason", "the walk goes on with it")

    # predict, under the clock of those days
    days = _days_after(past.source, TRAINED_ON)[:FORECAST_DAYS]
    assert asyncio.run(past.forecast_each_day(days)) >= 200
    # add the later bars, score
    scored = asyncio.run(past.score(LATER))
    assert scored.scored >= 200 * 30 * 0.9
    assert set(scored.by_bundle) == {bundle}
    told.append(_told("scored", {"steps": scored.scored}, "steps"))
    assert run("verify-log")["findings"] == []

    asked_for = days[-1]
    asyncio.run(past.keep_window("AAPL", asked_for))
    with _serving(past) as (server, user):
        # track record
        record = user("GET", "/track-record")
        one_day = _row(record, horizon=1)
        assert one_day["scored"] >= 200
        assert 0.0 < one_day["relative_mae"] < 2.0
        _agrees_with_the_bars(one_day, past)
        shown = ("scored", "relative_mae", "relative_mae_interval", "pinball_skill", "label", "directional_accuracy")
        told.append(_told("track record, one day ahead", one_day, *shown))
        told.append(_told("track record, five days ahead", _row(record, horizon=5), *shown))
        answer = user("GET", f"/predict/AAPL?as_of={asked_for}")
        assert (answer["bundle"]["id"], answer["skill"]["1"]["source"]) == (bundle, "live")
        explained = user("GET", f"/forecasts/{answer['forecast_id']}/explain")
        assert explained["lineage"]["bundle_id"] == bundle

        # drift
        drift = run("drift", "--days", "120", accepted=(0, 10, 11))
        assert drift["recommendation"] in ("ok", "watch", "retrain")
        told.append(_told("drift", drift, "recommendation", "reason"))
        assert user("GET", f"/drift/{drift['report']}")["recommendation"] == drift["recommendation"]

        # update: the champion learns on, as a job of a real worker
        with _worker(past):
            job = user("POST", "/train/update", {})
            ended = _wait(lambda: user("GET", f"/train/{job['job_id']}"))
        assert (ended["status"], ended["failure"]) == ("succeeded", None)
        assert ended["result"]["updated_from"] == bundle
        assert user("GET", "/model/info")["version"] == bundle  # nothing is promoted by a training

        # roll back
        run("rollback", "--reason", "the end of the walk")
        _wait(lambda: user("GET", "/model/info"), until=lambda info: info["version"] != bundle)
    assert server.process.returncode is not None
    print(*told, sep="\n")  # noqa: T201 - after the last command, whose output is its own


def _told(step: str, found: Mapping[str, Any], *names: str) -> str:
    """One line of what `make walk` shows (docs/tutorial.md)."""
    return f"{step}: " + ", ".join(f"{name} {_short(found[name])}" for name in names)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_short(each) for each in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _days_after(source: SourceOfThatDay, day: date) -> list[date]:
    """Days with a bar of either market, ascending."""
    found: set[date] = set()
    for file in source._files:
        found |= set(file.bars.filter(pl.col("date") > day)["date"])
    return sorted(found)


def _row(record: Mapping[str, Any], *, horizon: int) -> dict[str, Any]:
    """The headline of one horizon, over all time."""
    (row,) = [each for each in record["live"] if (each["horizon"], each["window"]) == (horizon, "all")]
    found: dict[str, Any] = row
    return found


def _agrees_with_the_bars(row: Mapping[str, Any], past: Past) -> None:
    """The naive error of one day ahead, computed from the files alone."""
    errors = []
    for ticker in TICKERS:
        closes = next(file.bars for file in past.source._files if ticker in file.tickers)
        closes = closes.filter((pl.col("ticker") == ticker) & (pl.col("date") <= LATER)).sort("date")
        returns = np.abs(np.diff(np.log(closes["close"].to_numpy())))
        cutoffs = closes["date"].to_list()[:-1]
        errors += [error for day, error in zip(cutoffs, returns, strict=True) if day in _forecast_on(past)]
    assert row["scored"] == len(errors)


def _forecast_on(past: Past) -> set[date]:
    return set(_days_after(past.source, TRAINED_ON)[:FORECAST_DAYS])


@contextmanager
def _serving(past: Past) -> Iterator[tuple[Server, Any]]:
    """A real API process, and a function that asks it as a user who may train."""
    assert past.settings.database_url is not None
    with serving(past.settings.home, past.settings.database_url.get_secret_value(), "api") as server:
        server.wait_until_alive()
        yield server, _signed_in(server, past)


def _signed_in(server: Server, past: Past) -> Any:
    account = {"email": "jane@example.org", "password": PASSWORD}
    assert server.http.post("/auth/register", json=account).status_code == 201
    granted = [
        sys.executable,
        "-m",
        "cli",
        "users",
        "scopes",
        account["email"],
        "--scope",
        "predict",
        "--scope",
        "train",
    ]
    subprocess.run(granted, check=True, env=_environment(past), capture_output=True)
    form = {"username": account["email"], "password": PASSWORD}
    token = server.http.post("/auth/token", data=form).json()["access_token"]

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer: httpx.Response = server.http.request(
            method, path, json=body, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.is_success, (path, answer.text)
        return answer.json()

    return ask


@contextmanager
def _worker(past: Past) -> Iterator[None]:
    """A worker of the queue `train`, as a process."""
    command = [sys.executable, "-m", "cli", "worker", "--queues", "train"]
    with subprocess.Popen(command, env=_environment(past), start_new_session=True) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _environment(past: Past) -> dict[str, str]:
    assert past.settings.database_url is not None
    return {**os.environ, "CLOSECAST_DATABASE_URL": past.settings.database_url.get_secret_value()}


def _wait(look: Any, until: Any = lambda job: job["status"] not in ("queued", "running"), seconds: float = 300) -> Any:
    """What ``look`` gives once it is as wished."""
    deadline = time.monotonic() + seconds
    while not until(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found
