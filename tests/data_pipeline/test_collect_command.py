"""``python -m data_pipeline.run_pipeline`` works by itself and tells by its exit code how it went."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.collect_command import main
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import first_days, make_bars


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    """Thirty bars of AAA, one day short, and a Saturday."""
    days = [*first_days(30), "2024-01-06"]
    bars = make_bars(days).drop(labels=[make_bars(days).index[5]])
    path = tmp_path / "bars.csv"
    bars.drop(columns=["dividend", "split"]).reset_index().rename(columns={"trading_day": "date"}).assign(
        ticker="AAA"
    ).to_csv(path, index=False)
    return path


def test_it_runs_as_a_module(csv_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "data_pipeline.run_pipeline", "--source", "files", "--path", str(csv_file)]

    done = subprocess.run([*command, "--store", str(tmp_path / "store")], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "non_trading_day" in done.stdout
    assert "AAA: added" in done.stdout
    assert FeatureStore(tmp_path / "store").series()[0].n_bars == 29


def test_a_quality_table_and_the_outcome_are_printed(
    csv_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--source", "files", "--path", str(csv_file), "--store", str(tmp_path / "store"), "--force"])

    shown = capsys.readouterr().out
    assert code == 0
    assert all(text in shown for text in ("hole", "2024-01-09", "dropped", "AAA: added", "data version 1"))


def test_a_ticker_that_fails_is_named_and_told_by_the_exit_code(
    csv_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["AAA", "BBB", "--source", "files", "--path", str(csv_file), "--store", str(tmp_path / "store")]

    assert main(asked) == 4
    assert "failed: BBB from files" in capsys.readouterr().err
    assert [series.ticker for series in FeatureStore(tmp_path / "store").series()] == ["AAA"]


def test_the_sample_needs_no_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["IBM", "--source", "sample", "--store", str(tmp_path), "--end", "2001-01-01"]) == 0
    assert "IBM: added" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [["--source", "files"], [], ["AAA", "--start", "yesterday"]])
def test_a_request_that_makes_no_sense_is_a_usage_error(asked: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(asked)

    assert left.value.code == 2


def test_a_path_without_files_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "files", "--path", str(tmp_path / "gone"), "--store", str(tmp_path)]) in {3, 4}
    assert len(capsys.readouterr().err.strip().splitlines()) <= 2
