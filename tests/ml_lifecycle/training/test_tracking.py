"""What MLflow holds of a run, and what a run costs when MLflow is away, fails or hangs."""

import io
import json
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_lifecycle.training import mlflow_child
from ml_lifecycle.training.mlflow_child import ERROR_LENGTH
from ml_lifecycle.training.mlflow_delivery import Delivered, Delivery, Tracker, TrackingUnavailableError, ask
from ml_lifecycle.training.tracking import flat, open_run
from tests.faulty_server import faulty_server

CHAMPION, CHALLENGER = "c" * 64, "a" * 64
PATIENCE_SECONDS = 100.0  # for MLflow's import and the tables of a new database on a busy machine


class Tracked:
    """What a finished session with a real MLflow left: one run with a nested one, two bundles, aliases."""

    def __init__(self, folder: Path) -> None:
        self.tracker = Tracker(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", PATIENCE_SECONDS)
        self.folder = folder

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What its database holds."""
        connection = sqlite3.connect(self.folder / "mlflow.db")
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def asked_outside() -> Iterator[Any]:
    """A proxy in whose place all that leaves this machine arrives; it counts what does."""
    with faulty_server("fails") as server:
        yield server


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, asked_outside: Any) -> Tracked:
    """One run and what the registry mirrors, in one process that speaks to a real MLflow on a new database."""
    folder = tmp_path_factory.mktemp("an mlflow")
    done = Tracked(folder)
    report = folder / "report.html"
    report.write_text("<p>skill</p>")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            patch.setenv(name, asked_outside.url)
        for name in ("PYTEST_CURRENT_TEST", "CI"):  # MLflow keeps quiet for these by itself
            patch.delenv(name, raising=False)
        run = open_run(
            done.tracker,
            name="tiny",
            params=flat({"epochs": 3, "layers": {"units": 8}}),
            tags={"git_commit": "abc", "data_version": None},
        )
    with run:
        run.curve(1, train_loss=0.5, validation_loss=float("nan"))
        run.curve(2, train_loss=0.25, validation_loss=0.3)
        run.figures({"h1/pinball": 0.9, "h1/naive_pinball": 1.0, "h2/pinball": None})
        trial = run.child("trial 1", {"units": 4})
        trial.curve(0, score=0.1)
        trial.end("FAILED")
        run.child("trial 2", {})
        run.artifact(report, "bundle")
        run.tag(bundle=CHAMPION)
        manifests = {CHAMPION: "no such file", CHALLENGER: str(report)}
        for aliases in ({"champion": CHAMPION, "challenger": CHALLENGER}, {"champion": CHALLENGER}):
            run._delivery.send("mirror", aliases=aliases, manifests=manifests)
        run._delivery.send("mirror", aliases=aliases, manifests=manifests)
        run._delivery.send("old_runs", before=int(time.time() * 1000) + 60_000)
    return done


def test_mlflow_holds_parameters_curves_figures_and_files(tracked: Tracked) -> None:
    """Figures stand beside the naive's; what is no number is left out; a trial is nested in its run."""
    runs = {name: (key, status) for key, name, status in tracked.rows("SELECT run_uuid, name, status FROM runs")}
    (key, status), (trial, trial_status) = runs["tiny"], runs["trial 1"]

    assert (status, trial_status) == ("FINISHED", "FAILED")
    assert runs["trial 2"][1] == "KILLED"  # nobody said how it ended
    assert dict(tracked.rows("SELECT key, value FROM params WHERE run_uuid = ?", key)) == {
        "epochs": "3",
        "layers.units": "8",
    }
    points = tracked.rows("SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step", key)
    assert points == [
        ("h1/naive_pinball", 0, 1.0),
        ("h1/pinball", 0, 0.9),
        ("train_loss", 1, 0.5),
        ("train_loss", 2, 0.25),
        ("validation_loss", 2, 0.3),
    ]
    tags = dict(tracked.rows("SELECT key, value FROM tags WHERE run_uuid = ?", key))
    assert (tags["closecast.git_commit"], tags["closecast.bundle"]) == ("abc", CHAMPION)
    assert "closecast.data_version" not in tags
    (parent,) = tracked.rows("SELECT value FROM tags WHERE run_uuid = ? AND key = 'mlflow.parentRunId'", trial)
    assert parent == (key,)
    assert (tracked.folder / "artifacts" / key / "artifacts/bundle/report.html").read_text() == "<p>skill</p>"


def test_aliases_follow_and_versions_are_made_once(tracked: Tracked) -> None:
    """The last word said: the challenger became champion, nobody challenges; each bundle is one version."""
    versions = dict(tracked.rows("SELECT value, version FROM model_version_tags WHERE key = 'closecast.bundle'"))
    aliases = tracked.rows("SELECT alias, version FROM registered_model_aliases")

    assert sorted(versions.values()) == [1, 2]
    assert aliases == [("champion", versions[CHALLENGER])]
    made_by = tracked.rows(
        "SELECT r.name FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id ORDER BY v.version"
    )
    assert made_by == [("tiny",), (CHALLENGER[:12],)]  # one has no run of its own: it gets one


def test_nothing_leaves_the_machine(tracked: Tracked, asked_outside: Any) -> None:
    """MLflow's telemetry asks for its configuration as soon as a client is made."""
    assert tracked.rows("SELECT count(*) FROM runs") == [(4,)]
    assert asked_outside.asked == 0


def test_an_mlflow_that_fails_goes_away_and_hangs_costs_one_line_and_no_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every call returns at once; the end takes the deadline and hardly more, though MLflow would wait ten minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with faulty_server("fails") as server:
        run = open_run(Tracker(server.url, flush_seconds=1.0), name="tiny", params={}, tags={})
        _until(lambda: server.asked > 0)
        server.go_away()
        took = [_seconds(lambda step=step: run.curve(step, loss=1.0)) for step in range(50)]
        _until(lambda: run._delivery.results() != [])
        server.fault = "hangs"
        server.listen()
        while not server.waiting.wait(0.05):
            took.append(_seconds(lambda: run.curve(99, loss=1.0)))

        with caplog.at_level(logging.WARNING):
            ending = _seconds(run.end)

    assert max(took) < 10.0
    assert 0.9 < ending < 30.0
    (line,) = caplog.messages
    assert line.startswith(f"MLflow at {server.url}: ")
    assert "records lost: " in line


def test_a_process_that_cannot_be_started_is_told_like_an_absent_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)

    with pytest.raises(TrackingUnavailableError, match="no process for it: Resource temporarily unavailable"):
        ask(Tracker("http://127.0.0.1:9"), "old_runs", timeout_seconds=1.0, before=0)


def test_a_process_that_dies_loses_its_lines_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does when memory runs out."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    delivery = Delivery(Tracker("http://127.0.0.1:9"))
    delivery.send("curve", run="one")

    assert delivery.close(10.0) == Delivered(taken=0, told=1, reason=None)


def test_a_process_that_reads_nothing_holds_up_nobody_and_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe is full, then the queue: what comes then is dropped and counted; at the end the process is killed."""
    deaf = tmp_path / "deaf"
    deaf.write_text("#!/bin/sh\nexec sleep 30\n")
    deaf.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(deaf))
    monkeypatch.setattr("ml_lifecycle.training.mlflow_delivery.MOST_WAITING", 3)
    delivery = Delivery(Tracker("http://127.0.0.1:9"))

    telling = _seconds(lambda: [delivery.send("curve", run="x" * 1000) for _ in range(1000)])
    ending = _seconds(lambda: delivery.close(0.5))

    assert telling < 2.0
    assert 0.4 < ending < 5.0
    assert delivery.close(0.1) == Delivered(taken=0, told=1000, reason="no answer within 0.5 s")


SLOW = """#!{python}
import json, os, sys, threading, time

def read():
    for _ in sys.stdin:
        pass
    os._exit(1)

threading.Thread(target=read, daemon=True).start()
time.sleep(0.5)
for _ in range(2):
    print(json.dumps({{"result": 7, "error": None}}), flush=True)
time.sleep(30)
"""


def test_who_has_time_waits_longer_than_the_end_of_a_training_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the lines means that the parent is dead: it comes after the last answer."""
    slow = tmp_path / "slow"
    slow.write_text(SLOW.format(python=sys.executable))
    slow.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(slow))

    assert ask(Tracker("http://127.0.0.1:9", flush_seconds=0.1), "mirror", timeout_seconds=10.0) == 7


def test_without_a_tracker_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with open_run(None, name="quiet", params={}) as run:
        run.curve(1, loss=0.5)
        run.child("trial", {}).end()


def test_credentials_are_not_shown() -> None:
    assert Tracker("postgresql://ann:secret@db:5432/mlflow").shown == "postgresql://db:5432/mlflow"


def _seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("BAD_REQUEST: Response:\n{\n  'message': 'too long'\n}", "BAD_REQUEST: Response: { 'message': 'too long' }"),
        ("database is locked\n[SQL: INSERT INTO runs\nVALUES (?)]\n(Background on this)", "database is locked"),
        (f"a\n{'b' * 1_000}", "a " + "b" * (ERROR_LENGTH - len("ValueError: a "))),
    ],
)
def test_what_went_wrong_is_told_in_one_line_with_what_helps(error: str, told: str) -> None:
    """A first line is often but a heading; a statement of the database tells nobody more."""
    answers = io.StringIO()

    mlflow_child._answer(answers, None, ValueError(error))

    assert json.loads(answers.getvalue())["error"] == f"ValueError: {told}"
