"""Training and evaluation by themselves, as the training image runs them."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from data_pipeline.market_update import redefine_universe
from data_pipeline.processing.calendars import trading_days
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.evaluation import evaluate as evaluation
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.training import train as training
from ml_lifecycle.training.checkpoint import Checkpoint
from tests.data_pipeline.storage.rows import make_rows
from tests.ml_lifecycle.conftest import plain_config

# The command without its export, which would be half of its time: the conversion to ONNX is a process that it starts.
TRAINING_ALONE = """
import os, sys
from cli.main import run
def end(event, arguments):
    if event == "subprocess.Popen" and "ml_lifecycle.export.onnx_conversion" in arguments[1]:
        os._exit(0)
sys.addaudithook(end)
run()
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two tickers of some 750 bars."""
    days = trading_days("XNYS", date(2019, 1, 2), date(2022, 1, 1)).tolist()
    rng = np.random.default_rng(0)
    walks = [100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days)))) for _ in "AB"]
    folder = str(tmp_path_factory.mktemp("store") / "bars")
    rows = [make_rows(ticker, days, walk.tolist()) for ticker, walk in zip(("AAA", "BBB"), walks, strict=True)]
    FeatureStore(folder).merge(pl.concat(rows))
    redefine_universe(FeatureStore(folder), "XNYS", ["AAA", "BBB"])
    return folder


def test_stored_bars_become_a_checkpoint_that_names_their_version(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = plain_config(epochs=1, columns=["log_return", "market_return"]).model_dump(mode="json")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))

    code = training.main(["--store", store, "--out", str(tmp_path / "out"), "--config", str(tmp_path / "tiny.yaml")])

    told = capsys.readouterr()
    assert (code, told.out.strip()) == (0, str(tmp_path / "out"))
    assert "validation loss" in told.err
    content = Checkpoint.load(tmp_path / "out").content
    assert content.data_version.content_sha256 == FeatureStore(store).version().content_sha256
    assert content.market_universe == {"XNYS": ("AAA", "BBB")}


def test_both_commands_write_the_same_weights(store: str, tmp_path: Path) -> None:
    """Each in a process of its own, since oneDNN is chosen once, when TensorFlow is imported; its default is on."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {"CLOSECAST_STORE_URI": store, "CLOSECAST_HOME": str(tmp_path)}
    config = plain_config(epochs=1, columns=["log_return"]).model_dump(mode="json")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    by_module = ["-m", "ml_lifecycle.training.train", "--store", store, "--out", str(tmp_path / "module")]
    by_command = ["-c", TRAINING_ALONE, "train", "--checkpoint", str(tmp_path / "command")]
    running = [
        subprocess.Popen(
            [sys.executable, *command, "--config", str(tmp_path / "tiny.yaml")],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in (by_module, by_command)
    ]
    told = [process.communicate()[1] for process in running]

    assert [process.returncode for process in running] == [0, 0], told
    assert "oneDNN" not in "".join(told)  # where it is on, TensorFlow says so
    digests = {Checkpoint.load(tmp_path / name).content.weights_sha256 for name in ("module", "command")}
    assert len(digests) == 1


def test_a_bundle_is_evaluated_beside_the_naive(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_reference_bundle(tmp_path)

    code = evaluation.main([str(bundle), "--store", store, "--tickers", "AAA", "--from", "2021-06-01", "--every", "5"])

    rows = json.loads(capsys.readouterr().out)["rows"]
    assert code == 0
    assert {row["ticker"] for row in rows} == {"all", "AAA"}
    for row in rows:  # the reference bundle is the naive itself
        assert row["pinball"] == pytest.approx(row["naive_pinball"])


def test_training_without_bars_ends_with_one_line_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.main(["--store", str(tmp_path / "bars"), "--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_configuration_ends_with_one_line_that_names_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text("epochs: 0")

    code = training.main(["--store", str(tmp_path), "--out", str(tmp_path), "--config", str(tmp_path / "wrong.yaml")])

    assert code == 3
    assert "wrong.yaml: epochs: " in capsys.readouterr().err


def test_evaluating_a_folder_that_is_no_bundle_ends_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluation.main([str(tmp_path), "--store", str(tmp_path / "bars")]) == 3
    assert capsys.readouterr().err.startswith("bundle refused: ")
