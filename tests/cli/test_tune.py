"""`closecast tune` and `closecast champion` on stored bars, with real networks that are as small as they get."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from app.features.training.run_train import choose
from app.features.training.train_spec import TrainSpec
from cli.settings import read_settings
from data_pipeline.processing.calendars import trading_days
from data_pipeline.storage.feature_store import FeatureStore
from tests.cli.conftest import Closecast
from tests.data_pipeline.storage.rows import make_rows
from tests.ml_lifecycle.conftest import plain_config

TICKERS = ("AAA", "BBB")


@pytest.fixture
def space(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two tickers are stored, and a space of two networks lies beside them; its file is named."""
    monkeypatch.setenv("CLOSECAST_GATE_DAYS", "60")
    monkeypatch.setenv("CLOSECAST_TRACKING_URI", "http://127.0.0.1:9")  # nobody answers there, nor is missed
    days = trading_days("XNYS", date(2018, 1, 2), date(2022, 1, 1)).tolist()
    rng = np.random.default_rng(0)
    walks = {ticker: 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days)))) for ticker in TICKERS}
    rows = [make_rows(ticker, days, walk.tolist()) for ticker, walk in walks.items()]
    FeatureStore(str(home / "bars")).merge(pl.concat(rows))
    config = plain_config(columns=["log_return"], epochs=1, validate_every=1000).model_dump(mode="json")
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config))
    told = {"base": str(tmp_path / "base.yaml"), "parameters": {"learning_rate": [0.001, 0.01]}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(told))
    return str(tmp_path / "space.yaml")


def test_what_gains_most_becomes_a_configuration_that_training_takes(closecast: Closecast, space: str) -> None:
    options = ("--search", "grid", "--space", space, "--folds", "2", "--study", "spring")

    tuned = closecast("tune", *options, "--json")
    again = closecast("tune", *options)
    chosen = closecast("champion", "--study", "spring")

    assert (tuned.code, again.code, chosen.code) == (0, 0, 0), tuned.err + again.err + chosen.err
    result = json.loads(tuned.out)
    assert [trial["state"] for trial in result["trials"]] == ["complete", "complete"]
    assert result["tickers"] == list(TICKERS)
    assert result["best"]["value"] == max(trial["value"] for trial in result["trials"])
    assert len(result["trials"][0]["folds"][0]["horizons"]) == 4
    assert f"Best of 2 trials on {result['skill']['n_days']} cutoff days: gain" in again.out
    assert "trial 0 (" not in again.err  # nothing was left to be tried
    assert "Train it: closecast train --config best_config.yaml" in chosen.out
    taken = choose(read_settings(), TrainSpec(config="best_config.yaml"))
    assert taken.config.learning_rate == result["best"]["params"]["learning_rate"]
    assert (taken.config.gate_days, taken.data.tickers) == (60, TICKERS)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--search", "tpe"), 2, "closecast: tune: trials: tpe does not end by itself, say how many"),
        (("--trials", "0"), 2, "closecast: tune: trials: Input should be greater than or equal to 1"),
        (("--trials", "2", "--backend", "spark"), 2, "closecast: tune: backend: Input should be 'local' or 'ray'"),
        (("--trials", "1", "--search", "grid"), 2, "the grid has 2 combinations, more than --trials 1"),
        (("--trials", "2", "--folds", "20"), 3, "trading days are too few for 20 folds"),
        (("--trials", "2", "--tickers", "CCC"), 3, "CCC"),
    ],
)
def test_what_cannot_be_tuned_is_told_in_a_last_line(
    closecast: Closecast, space: str, options: tuple[str, ...], code: int, told: str
) -> None:
    refused = closecast("tune", "--space", space, *options)

    assert refused.code == code, refused.err
    assert told in refused.err.splitlines()[-1]


def test_a_study_that_nobody_made_is_told(closecast: Closecast, home: Path) -> None:
    refused = closecast("champion", "--study", "spring")

    assert (refused.code, refused.err) == (2, "closecast: no study is called spring\n")
