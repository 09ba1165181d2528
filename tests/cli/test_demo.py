"""The demo as people run it; the bundle is the reference, so that no test waits for a training (CI runs that one).

One first run is shared: what later runs change, they change in copies of its home.
"""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from app.config import Settings
from app.features.registry import crud
from app.models.promotion import Promotion
from app.supervisor.one_session import one_session
from app.supervisor.supervisor import supervised
from cli.demonstration import stored
from cli.demonstration.installation import Remembered, install
from cli.demonstration.run import Demonstration
from data_pipeline.processing.calendars import last_final_day, trading_days
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.reference import write_reference_bundle
from tests.data_pipeline.storage.rows import make_rows
from tests.fake_yahoo.listing import Listing
from tests.fake_yahoo.server import FakeYahoo
from tools.processes_of import processes_of


@dataclass(frozen=True)
class Run:
    """A demo that ended: its home and what it printed; ``taken_port`` is the one it was told to take, in vain."""

    home: Path
    out: str
    err: str
    taken_port: int = 0


def demo_of(home: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """The demo as a process of its own, with no setting of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")}
    command = [sys.executable, "-m", "cli", "demo", *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **environment, "CLOSECAST_HOME": str(home), "COLUMNS": "120"},
    )


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A first run, on a taken port, in a home that holds a bundle and, unpublished, somebody's bars of MSFT."""
    home = tmp_path_factory.mktemp("demo") / "a home"
    bundle = write_reference_bundle(home / "bundles")
    (home / "demo").mkdir(mode=0o700)
    Remembered(bundle=bundle.name).write(home / "demo" / "remembered.json")
    days = trading_days("XNYS", date(2024, 1, 2), date(2024, 3, 1)).tolist()
    FeatureStore(home / "bars").merge(make_rows("MSFT", days, source="files"))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port: int = holder.getsockname()[1]
        process = demo_of(home, "--once", "--source", "sample", CLOSECAST_PORT=str(port))
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return Run(home, out, err, port)


@pytest.fixture
def used_home(first_run: Run, tmp_path: Path) -> Path:
    """A copy of the home that the first run left."""
    copy = tmp_path / "home"
    subprocess.run(["cp", "-a", str(first_run.home), str(copy)], check=True)  # PostgreSQL's files keep their owner
    return copy


@contextmanager
def fake_yahoo(folder: Path, *, recent: bool = False) -> Iterator[dict[str, str]]:
    """The variables that lead processes to a fake Yahoo, whose AAPL is old, or ends at the last final day."""
    fetched = SampleSource().fetch_bars("AAPL", None, None)
    listing = Listing.of(fetched)
    if recent:
        last = last_final_day("XNYS", datetime.now(UTC), timedelta(hours=1))
        days = trading_days("XNYS", last - timedelta(days=2_500), last + timedelta(days=1))
        listing = listing.moved_to_end(pd.DatetimeIndex(days.astype("datetime64[s]"), name="trading_day"))
    folder.mkdir()
    with FakeYahoo(folder) as yahoo:
        yahoo.listings["AAPL"] = listing
        environment = yahoo.environment()
        own_proxies = {name.lower(): value for name, value in environment.items() if name.endswith("_PROXY")}
        yield {**environment, **own_proxies}  # instead of the dead ones that keep tests from the real network


def lines_until(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """What the demo prints, up to a line that holds ``last``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if last in line:
            return lines
    raise AssertionError("".join(lines))


def test_the_first_answer_stands_beside_the_naive_and_everything_stops(first_run: Run) -> None:
    assert f"port {first_run.taken_port} is taken" in first_run.err
    assert f"http://127.0.0.1:{first_run.taken_port}/" not in first_run.out
    assert "AAPL: close of 2013-03-01 was 430.47 USD" in first_run.out
    assert "kind: hindcast   stale: true" in first_run.out
    assert "promotion: reference" in first_run.out  # champion already: there is nothing to promote
    assert re.search(r"1 +2013-03-04 +430\.47 +430\.47", first_run.out)  # the reference's median is the naive
    assert processes_of(first_run.home) == []
    password = re.search(r"password (\S+) \(shown this once\)", first_run.out)
    assert password is not None
    assert (first_run.home / "demo" / "password").read_text() == password[1]
    for secret in ("password", "secret", "remembered.json"):
        assert stat.S_IMODE((first_run.home / "demo" / secret).stat().st_mode) == 0o600


def test_a_demo_that_has_stopped_names_no_address_to_ask(first_run: Run) -> None:
    assert "curl" not in first_run.out
    assert "/docs" not in first_run.out
    assert "Stopped (--once): `make demo` goes on serving." in first_run.out


def test_bars_that_were_stored_before_are_published_not_replaced(first_run: Run) -> None:
    """Without a window of theirs the demo would take them for missing."""
    stored_from = {series.ticker: series.source for series in FeatureStore(first_run.home / "bars").series()}
    assert stored_from == {"AAPL": "sample", "FB": "sample", "GOOG": "sample", "IBM": "sample", "MSFT": "files"}
    assert "kept as stored: MSFT" in first_run.err


def test_a_second_run_answers_from_todays_bars_and_its_curl_lines_work(used_home: Path, tmp_path: Path) -> None:
    """A Yahoo of our own has bars up to the last final day; the printed commands are run by a shell as they stand."""
    with fake_yahoo(tmp_path / "yahoo", recent=True) as environment:
        process = demo_of(used_home, **environment)
        try:
            printed = "".join(lines_until(process, "no investment advice"))
            commands = printed[printed.index("TOKEN=$(") : printed.index("\nAnswered after")]
            answer = subprocess.run(["bash", "-c", commands], check=True, capture_output=True, text=True).stdout
        finally:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "Training" not in told  # .ci/run tells how soon it answers
    assert "shown this once" not in printed
    assert "source yfinance" in printed
    assert "kind: live   stale: false" in printed
    assert json.loads(answer)["ticker"] == "AAPL"
    assert processes_of(used_home) == []


def test_without_training_the_reference_serves_and_the_lines_to_copy_suit_a_container(used_home: Path) -> None:
    """As the image `demo` runs it: listening to everybody, asked from where its files are not."""
    (used_home / "demo" / "remembered.json").unlink()
    process = demo_of(used_home, "--no-train", "--source", "sample", "--host", "0.0.0.0")  # noqa: S104 (as the image)
    try:
        printed = "".join(lines_until(process, "no investment advice"))
        password = (used_home / "demo" / "password").read_text()
        commands = printed[printed.index("TOKEN=$(") : printed.index("\nAnswered after")]
        answer = subprocess.run(
            ["bash", "-c", commands],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PASSWORD": password},
        ).stdout
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=180)
    assert process.returncode == 0
    assert json.loads(answer)["bundle"]["kind"] == "reference"
    assert "Training" not in told
    assert "http://127.0.0.1:" in commands
    assert processes_of(used_home) == []


async def promote_by_jane(settings: Settings, bundle_id: str) -> None:
    """A line of the ledger, without asking whether that bundle is champion already."""
    async with one_session(settings) as db:
        line = Promotion(bundle_id=bundle_id, kind="forced", decided_by="jane", reason="ours")
        await crud.add_promotion(db, line)
        await db.commit()


def test_a_champion_and_bars_of_others_are_left_alone(
    used_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Yahoo's bars are too old to be served: another ticker is forecast, and they stay; so does Jane's bundle."""
    Remembered(bundle="0123456789ab").write(used_home / "demo" / "remembered.json")
    installation = install(Settings(home=used_home))
    with (
        fake_yahoo(tmp_path / "yahoo") as environment,
        supervised(installation.settings, log=installation.log) as supervisor,
    ):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        supervisor.start_database()
        settings = supervisor.settings
        (bundle,) = [folder for folder in settings.bundles.iterdir() if folder.is_dir()]
        asyncio.run(promote_by_jane(settings, bundle.name))
        demonstration = Demonstration(installation, supervisor, try_yahoo=True, started_at=0.0)
        demonstration.run(once=True)
        told = capsys.readouterr()

        demonstration._prepare_champion()
        ticker = demonstration._settle_on_bars(None)

        newest, window = stored.newest_promotion(settings), stored.find_window(settings, "AAPL")
    assert "AAPL: the newest bar of yfinance is of 2013-03-01, too old to be served" in told.err
    assert "IBM: close of 2013-03-01" in told.out
    assert "source sample" in told.out
    served = rf"the reference {bundle.name[:12]} \(promotion: forced\)"
    assert re.search(rf"^Answered by {served}, not by the demo's LSTM 0123456789ab$", told.err, re.MULTILINE)
    assert newest is not None
    assert (newest.decided_by, newest.reason) == ("jane", "ours")
    assert window is not None
    assert (window.source, window.too_old) == ("yfinance", True)
    assert ticker == "IBM"
