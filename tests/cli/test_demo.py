"""The demo as people run it; the bundle is the reference, so that no test waits for a training (CI runs that one)."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.supervisor.supervisor import Supervisor
from cli.bundles import promote
from cli.demonstration import stored
from cli.demonstration.installation import Installation, Remembered
from cli.demonstration.run import Demonstration
from ml_lifecycle.export.reference import write_reference_bundle
from tests.cli.conftest import Closecast
from tools.processes_of import processes_of


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose demo has a bundle already."""
    home = tmp_path_factory.mktemp("demo") / "home"
    bundle = write_reference_bundle(home / "bundles")
    (home / "demo").mkdir(mode=0o700)
    Remembered(bundle=bundle.name).write(home / "demo" / "remembered.json")
    return home


@pytest.fixture
def demo(home: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed home, as the one that commands use."""
    monkeypatch.setenv("CLOSECAST_HOME", str(installed))
    return installed


@contextmanager
def served_demo(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A demo that goes on serving; ended by Ctrl-C."""
    command = [sys.executable, "-m", "cli", "demo", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def lines_until(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """What the demo prints, up to a line that holds ``last``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if last in line:
            return lines
    raise AssertionError("".join(lines))


@pytest.fixture
def taken_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port that the settings name, and that somebody else listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port: int = holder.getsockname()[1]
        monkeypatch.setenv("CLOSECAST_PORT", str(port))
        yield port


def test_the_first_answer_stands_beside_the_naive_and_everything_stops(
    closecast: Closecast, demo: Path, taken_port: int
) -> None:
    done = closecast("demo", "--once", "--source", "sample")

    assert done.code == 0, done.err
    assert f"port {taken_port} is taken" in done.err
    assert f"http://127.0.0.1:{taken_port}/" not in done.out
    assert "AAPL: close of 2013-03-01 was 430.47 USD" in done.out
    assert "kind: hindcast   stale: true" in done.out
    assert "promotion: forced" in done.out
    assert re.search(r"1 +2013-03-04 +430\.47 +430\.47", done.out)  # the reference's median is the naive
    assert processes_of(demo) == []
    password = re.search(r"password (\S+) \(shown this once\)", done.out)
    assert password is not None
    assert (demo / "demo" / "password").read_text() == password[1]
    for secret in ("password", "secret", "remembered.json"):
        assert stat.S_IMODE((demo / "demo" / secret).stat().st_mode) == 0o600


def test_a_second_run_answers_soon_without_tensorflow_and_its_curl_lines_work(demo: Path) -> None:
    """The printed commands are run by a shell as they stand."""
    started = time.monotonic()
    with served_demo("--source", "sample") as process:
        printed = "".join(lines_until(process, "no investment advice"))
        answered_after = time.monotonic() - started
        commands = printed[printed.index("TOKEN=$(") : printed.index("\nAnswered after")]
        answer = subprocess.run(["bash", "-c", commands], check=True, capture_output=True, text=True).stdout
    assert process.returncode == 0
    assert answered_after < 60  # 10 s on a quiet machine: .ci/run holds it to that
    assert "shown this once" not in printed
    assert json.loads(answer)["ticker"] == "AAPL"
    assert processes_of(demo) == []


@pytest.fixture
def used_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own whose demo has a bundle already."""
    home = tmp_path / "home"
    monkeypatch.setenv("CLOSECAST_HOME", str(home))
    bundle = write_reference_bundle(home / "bundles")
    (home / "demo").mkdir(mode=0o700)
    Remembered(bundle=bundle.name).write(home / "demo" / "remembered.json")
    return home


def test_a_champion_and_bars_of_others_are_left_alone(used_home: Path, database: str) -> None:
    """Yahoo's bars are too old to be served: another ticker is forecast, and they stay."""
    settings = Settings(home=used_home, database_url=SecretStr(database))
    supervisor = Supervisor(settings)
    supervisor.start_database()
    (bundle,) = [folder for folder in settings.bundles.iterdir() if folder.is_dir()]
    promote(settings, bundle, force=True, reason="ours", by="jane")
    with fake_yahoo() as environment:
        collecting = [sys.executable, "-m", "cli", "collect", "AAPL", "--source", "yfinance"]
        subprocess.run(collecting, check=True, env={**os.environ, **environment}, capture_output=True)
    demonstration = Demonstration(Installation(settings, 8000), supervisor, try_yahoo=False, started_at=0.0)

    demonstration._prepare_champion()
    ticker = demonstration._settle_on_bars(None)

    newest, window = stored.newest_promotion(settings), stored.find_window(settings, "AAPL")
    assert newest is not None
    assert (newest.decided_by, newest.reason) == ("jane", "ours")
    assert window is not None
    assert (window.source, window.too_old) == ("yfinance", True)
    assert ticker == "IBM"


def run_demo_once(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """The demo as a process of its own, which finds a Yahoo of ours through its environment."""
    command = [sys.executable, "-m", "cli", "demo", "--once"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})


def test_where_yahoos_bars_are_old_the_sample_stands_in(used_home: Path) -> None:
    with fake_yahoo() as environment:
        finished = run_demo_once(environment)
    assert "AAPL: the newest bar of yfinance is of 2013-03-01, too old to be served" in finished.stderr
    assert "IBM: close of 2013-03-01" in finished.stdout
    assert "source sample" in finished.stdout


def test_where_yahoo_answers_the_forecast_is_of_today(demo: Path) -> None:
    """A Yahoo of our own, found through the environment alone, whose bars end at the last final day."""
    with fake_yahoo("--recent") as environment:
        finished = run_demo_once(environment)
    assert "source yfinance" in finished.stdout
    assert "kind: live   stale: false" in finished.stdout


@contextmanager
def fake_yahoo(*options: str) -> Iterator[dict[str, str]]:
    """The variables by which other processes find a fake Yahoo that has the sample's bars."""
    command = [sys.executable, "-m", "tests.fake_yahoo", "--bars", "sample", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    environment = {}
    while "REQUESTS_CA_BUNDLE" not in environment:
        name, _, value = process.stdout.readline().strip().partition("=")
        environment[name] = value
    own_proxies = {name.lower(): value for name, value in environment.items() if name.endswith("_PROXY")}
    try:
        yield {**environment, **own_proxies}  # instead of the dead ones that keep tests from the real network
    finally:
        process.terminate()
        process.communicate(timeout=30)
