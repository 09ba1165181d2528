"""The champion learns on from newer bars: its weights to begin with, days that it has not seen to end with."""

from pathlib import Path

import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.training.config import parse_config
from ml_lifecycle.training.fine_tuning import Parent
from ml_lifecycle.training.train import train
from ml_lifecycle.training.updating import NothingNewerError, update, updated_config
from tests.ml_lifecycle.conftest import DATA_VERSION, plain_config, tiny_universe
from tests.ml_lifecycle.training.test_fine_tuning import parent_of

NEWER = 150  # bars that have come since


def bars_then() -> dict[str, BarArrays]:
    """What was stored when the parent was trained."""
    return {ticker: bars[:-NEWER] for ticker, bars in tiny_universe().items() if len(bars) > NEWER}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    """Trained some months ago."""
    return parent_of(
        train(plain_config(), bars_then(), data_version=DATA_VERSION, out_dir=tmp_path_factory.mktemp("p"))
    )


def test_it_begins_with_the_champion_s_weights_and_its_days_move_on(parent: Parent, tmp_path: Path) -> None:
    """A rate that throws the weights far away leaves look 0, the champion itself; calibration and scores are new."""
    config = updated_config(parent, gate_days=0).model_copy(update={"learning_rate": 1.0, "epochs": 1})

    content = update(parent, config, tiny_universe(), out_dir=tmp_path, data_version=DATA_VERSION).content

    assert (content.best_round, content.weights_sha256) == (0, parent.manifest.weights_sha256)
    assert content.scaler == parent.scaler.to_dict()
    assert content.train_end > parent.train_end
    assert content.calibration_end > parent.calibration_end
    assert (content.fine_tuned_from, content.config.fine_tune) == (parent.bundle_id, None)
    assert content.scores


def test_without_newer_bars_there_is_nothing_to_learn(parent: Parent, tmp_path: Path) -> None:
    """Days that the champion was calibrated on would be its successor's test."""
    with pytest.raises(NothingNewerError, match=f"ended on {parent.calibration_end}"):
        update(parent, updated_config(parent, gate_days=0), bars_then(), out_dir=tmp_path, data_version=DATA_VERSION)

    assert list(tmp_path.iterdir()) == []


def test_days_that_the_champion_was_told_give_way_to_shares(parent: Parent) -> None:
    """Else it would be trained on the same days for ever; the gate's days are then those of the settings."""
    told = {"train_end": "2010-01-01", "validation_end": "2011-01-01", "calibration_end": "2012-01-01"}
    dated = parse_config({**parent.config.model_dump(), **told, "fine_tune": "a" * 64})
    of_dates = Parent(**{**vars(parent), "config": dated})

    config = updated_config(of_dates, gate_days=120)

    assert (config.train_end, config.calibration_end, config.fine_tune) == (None, None, None)
    assert (config.gate_days, config.train_share) == (120, dated.train_share)
    assert updated_config(parent, gate_days=120) == parent.config
