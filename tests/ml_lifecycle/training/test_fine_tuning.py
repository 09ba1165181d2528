"""Training that goes on from a bundle: whose weights, whose scaler, whose days."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.evaluation.look_ahead_training import check_training
from ml_lifecycle.export.from_checkpoint import draft_manifest
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import TrainingConfig, parse_config
from ml_lifecycle.training.fine_tuning import Parent, fine_tune, part_dates_of, steered
from ml_lifecycle.training.train import train
from tests.ml_lifecycle.conftest import DATA_VERSION, plain_config, tiny_universe

PARENT = "f" * 64


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    """What a bundle of a small network says of itself; `test_lifecycle` reads one from a bundle's folder."""
    folder = tmp_path_factory.mktemp("parent")
    learnt = train(plain_config(), tiny_universe(), data_version=DATA_VERSION, out_dir=folder)
    return parent_of(learnt)


def parent_of(checkpoint: Checkpoint) -> Parent:
    content, manifest = checkpoint.content, draft_manifest(checkpoint)
    ends = (content.train_end, content.calibration_end)
    reference = tuple(content.reference_distribution)
    return Parent(PARENT, manifest, content.config, *ends, checkpoint.scaler, checkpoint.network_path, reference)


def tuned(parent: Parent, folder: Path, **steering: object) -> Checkpoint:
    told = parse_config({"epochs": 1, "validate_every": 1, "patience": 2, **steering})
    return fine_tune(parent, told, one(), data_version=DATA_VERSION, out_dir=folder)


def one() -> dict[str, BarArrays]:
    return {"T1": tiny_universe()["T1"]}


def test_it_begins_with_the_parents_weights_and_keeps_them_where_nothing_is_learnt(
    parent: Parent, tmp_path: Path
) -> None:
    """A learning rate that throws the weights far away leaves look 0, which is the parent itself."""
    content = tuned(parent, tmp_path, learning_rate=1.0).content

    assert (content.best_round, len(content.history)) == (0, 3)
    assert content.weights_sha256 == parent.manifest.weights_sha256
    assert content.scaler == parent.scaler.to_dict()
    parts = (content.train_end, content.validation_end, content.calibration_end)
    assert parts[::2] == (parent.train_end, parent.calibration_end)
    assert parent.train_end < parts[1] < parent.calibration_end
    assert content.config.fine_tune == content.fine_tuned_from == PARENT


def test_it_learns_from_its_own_tickers_and_says_of_which(parent: Parent, tmp_path: Path) -> None:
    checkpoint = tuned(parent, tmp_path, name="t1", learning_rate=0.01, seed=parent.config.seed)

    manifest = draft_manifest(checkpoint)
    assert checkpoint.content.history[-1].batches > 1
    assert checkpoint.content.config == parent.config.model_copy(update=_moved(checkpoint))
    assert (manifest.fine_tuned_from, manifest.fine_tuned_tickers) == (PARENT, ("T1",))
    assert manifest.tickers == ("T1", "T2", "T3")
    assert (parent.manifest.fine_tuned_from, parent.manifest.fine_tuned_tickers) == (None, ())


def test_it_answers_for_its_parents_tickers_and_so_starts_with_them_and_drifts_from_what_they_were(
    parent: Parent, tmp_path: Path
) -> None:
    """T1's last 800 bars are younger than the parent's first day, and its distribution is its own."""
    late = {"T1": one()["T1"].last(800)}
    told = parse_config({"epochs": 1, "validate_every": 1, "patience": 2})

    content = fine_tune(parent, told, late, data_version=DATA_VERSION, out_dir=tmp_path).content

    assert content.train_start == parent.manifest.train_start == one()["T1"][:1].cutoff < late["T1"][:1].cutoff
    assert tuple(content.reference_distribution) == parent.reference_distribution
    older = replace(parent, manifest=parent.manifest.model_copy(update={"train_start": date(2020, 1, 1)}))
    assert older.train_start(date(2010, 1, 4)) == date(2010, 1, 4)


def _moved(checkpoint: Checkpoint) -> dict[str, Any]:
    """What may differ from the parent's configuration."""
    config = checkpoint.content.config
    steering = ("fine_tune", "name", "epochs", "validate_every", "patience", "learning_rate")
    dates = ("train_end", "validation_end", "calibration_end")
    return {name: getattr(config, name) for name in (*steering, *dates)}


def test_bars_after_the_parents_calibration_decide_nothing(parent: Parent) -> None:
    def like_a_training(_: TrainingConfig, bars: Any, /, *, out_dir: Path, **options: Any) -> Checkpoint:
        return fine_tune(parent, parse_config({"epochs": 1}), bars, out_dir=out_dir, **options)

    dated = plain_config(**part_dates_of(parent, one()))
    faults = check_training(like_a_training, dated, one(), bounds=("calibration_end",))

    assert [str(fault) for fault in faults] == []


def test_what_is_the_parents_to_say_is_refused(parent: Parent) -> None:
    told = parse_config({"columns": ["log_return"], "gate_days": 250, "epochs": 2})

    with pytest.raises(ConfigurationError, match="fine-tuning takes columns, gate_days from its parent: leave it out"):
        steered(parent, told, one())


def test_days_that_the_parent_was_told_stay(parent: Parent) -> None:
    dates = {"train_end": "2012-01-02", "validation_end": "2012-06-01", "calibration_end": "2013-01-02"}
    dated = replace(parent, config=plain_config(**dates))

    assert {name: day.isoformat() for name, day in part_dates_of(dated, one()).items()} == dates


def test_days_that_it_only_had_shares_of_are_parted_alike(parent: Parent) -> None:
    """Of the days between the ends that the manifest names, three fifths are validation's."""
    dates = part_dates_of(parent, one())
    days = one()["T1"].trading_day.astype("datetime64[D]").tolist()
    between = [day for day in days if parent.train_end < day < parent.calibration_end]

    assert (dates["train_end"], dates["calibration_end"]) == (parent.train_end, parent.calibration_end)
    assert sum(day <= dates["validation_end"] for day in between) == round(0.6 * len(between))


def test_tickers_without_a_bar_in_the_parents_days_are_refused(parent: Parent) -> None:
    late = {"T1": tiny_universe()["T1"]}
    early = replace(
        parent, train_end=parent.train_end.replace(year=1980), calibration_end=parent.train_end.replace(year=1981)
    )

    with pytest.raises(ConfigurationError, match="no bar between 1980-"):
        part_dates_of(early, late)


def test_a_file_with_other_weights_than_the_manifest_says_is_refused(parent: Parent, tmp_path: Path) -> None:
    other = replace(parent, manifest=parent.manifest.model_copy(update={"weights_sha256": "0" * 64}))

    with pytest.raises(ConfigurationError, match="holds other weights than it says"):
        tuned(other, tmp_path)


def test_another_network_than_is_built_now_is_refused(parent: Parent, tmp_path: Path) -> None:
    wider = replace(parent, config=parent.config.model_copy(update={"members": 2}))

    with pytest.raises(ConfigurationError, match="holds another network than is built now"):
        tuned(wider, tmp_path)


def test_the_reference_is_no_parent(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the reference has no weights to go on from"):
        Parent.read(write_reference_bundle(tmp_path))
