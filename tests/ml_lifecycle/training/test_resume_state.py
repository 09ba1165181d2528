"""The state of an unfinished run, on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_lifecycle.training.resume_state import STATE, UnfinishedRun, run_digest
from tests.ml_lifecycle.conftest import DATA_VERSION, tiny_config

UNFINISHED = UnfinishedRun(
    run="this",
    variables=[np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 8], dtype=np.uint32)],
    optimizer=[np.array(3), np.ones(2)],
    best=[np.array([float(place)]) for place in range(12)],
    history=[{"round": 0, "validation_loss": 0.5}],
    best_round=0,
)


def test_what_is_written_is_read_with_every_array_in_its_place(tmp_path: Path) -> None:
    UNFINISHED.write(tmp_path)

    read = UnfinishedRun.read(tmp_path, "this")

    assert read is not None
    assert (read.history, read.best_round) == (UNFINISHED.history, 0)
    for name in ("variables", "optimizer", "best"):
        for one, same in zip(getattr(read, name), getattr(UNFINISHED, name), strict=True):
            assert one.dtype == same.dtype
            np.testing.assert_array_equal(one, same)


def test_the_newest_state_replaces_the_one_before(tmp_path: Path) -> None:
    UNFINISHED.write(tmp_path)
    replace(UNFINISHED, best_round=4).write(tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == [STATE]
    read = UnfinishedRun.read(tmp_path, "this")
    assert read is not None
    assert read.best_round == 4


@pytest.mark.parametrize("n_bytes", [0, 10, 400, 1500])
def test_half_a_file_is_left_aside(tmp_path: Path, n_bytes: int) -> None:
    UNFINISHED.write(tmp_path)
    file = tmp_path / STATE
    file.write_bytes(file.read_bytes()[:n_bytes])

    assert UnfinishedRun.read(tmp_path, "this") is None


def test_the_state_of_another_run_is_left_aside(tmp_path: Path) -> None:
    assert UnfinishedRun.read(tmp_path, "this") is None
    UNFINISHED.write(tmp_path)
    assert UnfinishedRun.read(tmp_path, "another") is None


def test_configuration_data_and_tickers_make_a_run() -> None:
    known = run_digest(tiny_config(), DATA_VERSION, ["A"])

    assert run_digest(tiny_config(), DATA_VERSION, ["A"]) == known
    assert run_digest(tiny_config(seed=8), DATA_VERSION, ["A"]) != known
    assert run_digest(tiny_config(), replace(DATA_VERSION, version=4), ["A"]) != known
    assert run_digest(tiny_config(), DATA_VERSION, ["A", "B"]) != known
