"""What takes minutes on Ray: `make ray LONG=1`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_lifecycle.training.trial import TrialState
from ml_lifecycle.training.tune import tune
from tests.ml_lifecycle.tuning.made_up import VERSION, Widths, make_work

SPACE = {
    "base": "demo",
    "strategies": ["many_tickers_range", "volatility_units"],
    "parameters": {"hidden_size": [4, 8], "epochs": [1]},
}


def test_asha_on_ray_gives_up_and_goes_on_where_the_study_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    first = tune(make_work(tmp_path, Widths(), search="asha", trials=6, backend="ray", workers=2), VERSION)
    more = tune(make_work(tmp_path, Widths(), search="asha", trials=8, backend="ray", workers=2), VERSION)

    assert (len(first.records), len(more.records)) == (6, 8)
    assert TrialState.PRUNED in {record.state for record in more.records}
    assert sorted(record.number for record in more.records) == list(range(8))


@pytest.mark.timeout(900)
def test_real_networks_gain_the_same_on_ray_as_here(tmp_path: Path) -> None:
    """The command line, sample bars, TensorFlow in the cluster's processes."""
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(SPACE))
    options = ["--search", "grid", "--space", str(tmp_path / "space.yaml"), "--folds", "2", "--json"]
    closecast(tmp_path, "collect", "--source", "sample")

    here = json.loads(closecast(tmp_path, "tune", *options, "--study", "here"))
    there = json.loads(closecast(tmp_path, "tune", *options, "--study", "there", "--backend", "ray", "--workers", "2"))

    assert gains(here) == gains(there)
    assert len(here["trials"]) == 4


def gains(result: dict[str, Any]) -> list[tuple[str, Any, float]]:
    """What was tried and gained, in an order of its own."""
    return sorted((each["strategy"], each["params"]["hidden_size"], each["value"]) for each in result["trials"])


def closecast(home: Path, *arguments: str) -> str:
    """Standard output of a command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOSECAST_", "RAY_"))}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**kept, "CLOSECAST_HOME": str(home / "home")},
    )
    return done.stdout
