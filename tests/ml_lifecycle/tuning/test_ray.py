"""What runs on a Ray cluster: one is started for the whole file, on loopback, and ended.

`make ray` runs it, apart from the other tests; `make ray LONG=1` adds what takes longer (``long_ray.py``).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from ml_lifecycle.evaluation.backtest import TICKERS_AT_ONCE, Plan, backtest
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.evaluation.methods.ewma_fhs import EwmaFhsMethod
from ml_lifecycle.evaluation.methods.garch_t import GarchTMethod
from ml_lifecycle.evaluation.ray_backtest import on_ray
from ml_lifecycle.training.ray_cluster import OBJECT_STORE_BYTES, ray_cluster
from ml_lifecycle.training.trial import TrialRecord
from ml_lifecycle.training.tune import tune
from tests.app.serving import free_port
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.tuning.made_up import SPACE, VERSION, Widths, make_work

START_SECONDS = 90.0
KNOWN_WORD = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-word-that-only-this-test-knows-of-3f9c1e77"}
ONE_SMALL_NETWORK = """
base: demo
parameters: {hidden_size: [4], lookback: [10], every_days: [20], epochs: [1], members: [1]}
"""


@pytest.fixture(scope="module")
def cluster(network_guard: object) -> Iterator[None]:
    """Two processes of a cluster of our own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_cluster(2):
            yield


@pytest.fixture
def head(network_guard: object) -> Iterator[tuple[str, Path]]:
    """A cluster of somebody else's, of one core: its address, and the folder that it keeps its logs in."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # the names of its sockets must be short
    port = free_port()
    told = {"head": None, "block": None, "num-cpus": 1, "port": port, "node-ip-address": "127.0.0.1"}
    told |= {"include-dashboard": "false", "disable-usage-stats": None, "temp-dir": folder}
    told |= {"object-store-memory": OBJECT_STORE_BYTES}
    options = [f"--{name}" if value is None else f"--{name}={value}" for name, value in told.items()]
    command = [str(Path(sys.executable).with_name("ray")), "start", *options]
    environment = {**os.environ, **KNOWN_WORD}
    with (folder / "head.log").open("wb") as log:
        started = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "To terminate" not in (said := (folder / "head.log").read_text()) and started.poll() is None:
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        assert started.poll() is None, said
        yield f"127.0.0.1:{port}", folder
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        for pid in [*descendants(started.pid), started.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_search_joins_the_cluster_that_the_variable_names(tmp_path: Path, head: tuple[str, Path]) -> None:
    """`closecast tune --backend ray` as a user types it; the trial is a process of that cluster."""
    address, folder = head
    space = tmp_path / "space.yaml"
    space.write_text(ONE_SMALL_NETWORK)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")},
        "CLOSECAST_HOME": str(tmp_path / "home"),
        "CLOSECAST_TRACKING": "false",
        "RAY_ADDRESS": address,
        **KNOWN_WORD,
    }

    def closecast(*arguments: str) -> str:
        command = [sys.executable, "-m", "cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    closecast("collect", "IBM", "--source", "sample")
    asked = ("--trials", "1", "--space", str(space), "--tickers", "IBM", "--folds", "2", "--every", "21")
    told = json.loads(closecast("tune", "--backend", "ray", *asked, "--json"))

    assert [trial["state"] for trial in told["trials"]] == ["complete"]
    assert list(folder.glob("session_*/logs/worker-*"))


@pytest.mark.usefixtures("cluster")
def test_ray_tries_the_same_grid_with_the_same_scores_and_keeps_it_in_the_same_study(tmp_path: Path) -> None:
    space = SPACE.model_copy(update={"parameters": {"learning_rate": [0.001, 0.002]}})
    told = {"search": "grid", "space": space, "workers": 2}

    here = tune(make_work(tmp_path, Widths(), study="here", **told), VERSION)
    # a terminal's progress bar holds a lock, which Ray cannot write down
    shown, lock = [], threading.RLock()

    def show(record: TrialRecord) -> None:
        with lock:
            shown.append(record)

    there = tune(make_work(tmp_path, Widths(), study="there", backend="ray", **told), VERSION, on_trial=show)

    assert [(each.params, each.value, each.series()) for each in there.records] == [
        (each.params, each.value, each.series()) for each in here.records
    ]
    assert there.skill == here.skill
    assert len(shown) == len(there.records)
    assert all(record in shown for record in there.records)
    assert tune(make_work(tmp_path, Widths(log=tmp_path / "log"), study="there", **told), VERSION).records
    assert not (tmp_path / "log").exists()  # nothing is left to be tried, by whichever backend


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("place", ["here", "there"])
def test_backtests_of_many_tickers_are_the_same_on_ray_to_the_bit(place: str) -> None:
    bars = {f"T{number:02}": make_bars(700, seed=number) for number in range(TICKERS_AT_ONCE + 3)}
    plan = Plan(start=make_bars(700).trading_day[600].item(), every=60)
    # The last one fits by linear algebra, whose last bits follow the number of its threads.
    methods = {"naive": NaiveForecaster(), "ewma_fhs": EwmaFhsMethod(), "garch_t": GarchTMethod()}

    expected = list(backtest(methods, bars, plan))
    with on_ray(2) if place == "there" else nullcontext() as in_turn:
        found = list(backtest(methods, bars, plan, in_turn=in_turn))

    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.ticker, other.ticker)
        for name in methods:
            np.testing.assert_array_equal(one.quantiles[name], other.quantiles[name])


JOINS = """
from ml_lifecycle.training.ray_cluster import ray_cluster
from ml_lifecycle.training.tuning_errors import ClusterUnavailableError
try:
    with ray_cluster(1):
        pass
except ClusterUnavailableError as error:
    print(error)
"""


def test_a_token_that_is_wanted_and_not_given_is_told_in_words(tmp_path: Path) -> None:
    """Ray looks for one in the environment and at home; in a process of its own, for it remembers what it found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    told = {"RAY_ADDRESS": "127.0.0.1:9", "RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}

    said = subprocess.run(
        [sys.executable, "-c", JOINS], env=kept | told, capture_output=True, text=True, check=True, timeout=120
    )

    assert said.stdout.startswith("no Ray cluster answers at 127.0.0.1:9: Token authentication is enabled")


@pytest.mark.usefixtures("cluster")
def test_a_cluster_of_our_own_listens_on_loopback_alone() -> None:
    """Ray's own processes are not under the guard of this one: what they listen at is looked up."""
    places: set[str] = set()
    for pid in descendants(os.getpid()):
        with suppress(FileNotFoundError):  # it has ended
            places |= listening(pid)

    assert places
    assert all(place.endswith("0100007F") or place == f"{1:032X}" for place in places)


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they did."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):
            children += map(int, task.read_text().split())
    return [*children, *(below for child in children for below in descendants(child))]


def listening(pid: int) -> set[str]:
    """The addresses, in hexadecimal, at which a process takes TCP connections."""
    links = [str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    own = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
    rows = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in own}
