"""The champion learns on from newer bars: its weights to begin with, days that it has not seen to end with."""

from pathlib import Path

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.training.config import parse_config
from ml_lifecycle.training.fine_tuning import Parent
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import TooFewPairsError, known_days, part_dates
from ml_lifecycle.training.period import first_day
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
    """Else it would be trained on the same days for ever; the gate's days are always those of the settings."""
    told = {"train_end": "2010-01-01", "validation_end": "2011-01-01", "calibration_end": "2012-01-01"}
    dated = parse_config({**parent.config.model_dump(), **told, "fine_tune": "a" * 64})
    of_dates = Parent(**{**vars(parent), "config": dated})

    config = updated_config(of_dates, gate_days=120)

    assert (config.train_end, config.calibration_end, config.fine_tune) == (None, None, None)
    assert (config.gate_days, config.train_share) == (120, dated.train_share)
    assert updated_config(parent, gate_days=120) == parent.config.model_copy(update={"gate_days": 120})


def test_a_period_leaves_the_newest_cutoffs_whose_outcome_is_known_by_the_end_of_training(
    parent: Parent, tmp_path: Path
) -> None:
    """Not the newest bars: those are for validation, calibration and the gate, whose days stay as they were."""
    config = updated_config(parent, gate_days=0)
    of_a_month = updated_config(parent, gate_days=0, period="30d")
    parts = part_dates(config, tiny_universe())
    every, month = (gather(each, tiny_universe(), parts).pairs for each in (config, of_a_month))
    days = known_days(tiny_universe())

    newest = days[days <= np.datetime64(parts.train_end)][-1 - config.horizons[-1]]
    chosen = days[np.isin(days, cutoffs_of(tiny_universe(), month["train"].rows))]
    assert part_dates(of_a_month, tiny_universe()) == parts
    assert (chosen.max() <= newest, chosen.min() > newest - np.timedelta64(30, "D")) == (True, True)
    assert 0 < len(month["train"]) < len(every["train"]) / 10
    for name in ("validation", "calibration"):
        np.testing.assert_array_equal(month[name].rows, every[name].rows)

    told = {"learning_rate": 0.01, "epochs": 1, "every_days": 1}
    content = update(
        parent, of_a_month.model_copy(update=told), tiny_universe(), out_dir=tmp_path, data_version=DATA_VERSION
    ).content
    assert content.config.train_period == "30d"
    assert content.pairs["train"] == 3 * len(days[(days > newest - np.timedelta64(30, "D")) & (days <= newest)])
    assert content.fine_tuned_from == parent.bundle_id


def test_bars_after_the_training_part_change_nothing_that_a_period_learns_from(parent: Parent) -> None:
    config = updated_config(parent, gate_days=0, period="6mo")
    parts = part_dates(config, tiny_universe())
    cut = {ticker: bars.until(parts.calibration_end) for ticker, bars in tiny_universe().items()}

    whole, seen = (gather(config, bars, parts).pairs["train"] for bars in (tiny_universe(), cut))

    np.testing.assert_array_equal(cutoffs_of(tiny_universe(), whole.rows), cutoffs_of(cut, seen.rows))
    np.testing.assert_array_equal(whole.targets, seen.targets)


def test_a_period_that_holds_no_cutoff_says_since_when_none_was_looked_for(parent: Parent) -> None:
    """`ytd` early in a year, or a period shorter than the distance between two cutoffs."""
    config = updated_config(parent, gate_days=0, period="1d").model_copy(update={"every_days": 250})
    bars = {ticker: bars for ticker, bars in tiny_universe().items() if ticker in ("T2", "T3")}

    with pytest.raises(TooFewPairsError, match=r"the train part .* holds no window with a whole target since \d{4}-"):
        gather(config, {"T1": tiny_universe()["NEW"], **bars}, part_dates(config, bars))


@pytest.mark.parametrize(
    ("period", "first"),
    [
        ("1d", "2012-03-31"),
        ("4wk", "2012-03-04"),
        ("1mo", "2012-03-01"),
        ("13mo", "2011-03-01"),
        ("1y", "2011-04-01"),
        ("9999y", "-7987-04-01"),
        ("ytd", "2012-01-01"),
        ("max", None),
    ],
)
def test_a_period_is_spelled_as_at_yahoo(period: str, first: str | None) -> None:
    """The day itself counts; a day that a month lacks is the first of the next."""
    assert first_day(period, np.datetime64("2012-03-31")) == (None if first is None else np.datetime64(first))


def cutoffs_of(bars: dict[str, BarArrays], rows: np.ndarray) -> np.ndarray:
    """Days of rows of the joined series of those that are long enough."""
    long = [bars[ticker].trading_day for ticker in sorted(bars) if len(bars[ticker]) > 100]
    return np.concatenate(long).astype("datetime64[D]")[rows]
