"""A training that is killed like a machine kills, and goes on where it was."""

import os
import re
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import polars as pl
import pytest
import yaml

from data_pipeline.processing.calendars import trading_days
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.training import train as training
from ml_lifecycle.training.checkpoint import CHECKPOINT, Checkpoint
from ml_lifecycle.training.resume_state import STATE
from tests.data_pipeline.storage.rows import make_rows
from tests.ml_lifecycle.conftest import plain_config

START_SECONDS = 90.0  # TensorFlow's import, on a busy machine


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    """Arguments of a small training on stored bars, so many looks long that no kill comes too late."""
    days = trading_days("XNYS", date(2019, 1, 2), date(2022, 1, 1)).tolist()
    rng = np.random.default_rng(0)
    walks = {ticker: 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days)))) for ticker in ("AAA", "BBB")}
    store = FeatureStore(str(tmp_path / "bars"))
    store.merge(pl.concat([make_rows(ticker, days, walk.tolist()) for ticker, walk in walks.items()]))
    config = plain_config(columns=["log_return"], epochs=5, validate_every=1, patience=1000)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return ["--store", str(tmp_path / "bars"), "--config", str(tmp_path / "tiny.yaml"), "--save-every", "0"]


def test_a_run_killed_with_signal_9_goes_on_to_the_same_weights(
    told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_lifecycle.training.train", *told, "--out", str(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        _wait_for(killed / STATE, process)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (killed / CHECKPOINT).exists()

    assert training.main([*told, "--out", str(killed), "--resume"]) == 0
    resumed = _batches(capsys.readouterr().err)
    assert training.main([*told, "--out", str(whole)]) == 0
    uninterrupted = _batches(capsys.readouterr().err)

    assert 0 < len(resumed) < len(uninterrupted)
    assert resumed == uninterrupted[-len(resumed) :]
    one, other = Checkpoint.load(killed).content, Checkpoint.load(whole).content
    assert one.weights_sha256 == other.weights_sha256
    assert [look.validation_loss for look in one.history] == [look.validation_loss for look in other.history]
    assert one.calibration_offsets == other.calibration_offsets
    assert not (killed / STATE).exists()


def _wait_for(file: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = monotonic() + START_SECONDS
    while not file.exists():
        assert process.poll() is None, "the training ended before it could be killed"
        assert monotonic() < deadline, f"no state in {START_SECONDS} s"
        sleep(0.002)


def _batches(remarks: str) -> list[int]:
    return [int(number) for number in re.findall(r"^batch (\d+) of", remarks, re.MULTILINE)]
