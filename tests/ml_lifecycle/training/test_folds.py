"""Folds that walk forward, and the days that a choice may not look at."""

from itertools import pairwise

import numpy as np
import pytest

from ml_lifecycle.training.folds import choosing_bars, walk_forward
from ml_lifecycle.training.parts import TooFewPairsError, part_dates
from tests.made_up_bars import make_bars, weekdays
from tests.ml_lifecycle.conftest import tiny_config


def test_measured_spans_follow_each_other_and_nothing_is_learnt_from_them() -> None:
    days = weekdays(1000)

    folds = walk_forward(days, 4)

    places = np.searchsorted(days, np.array([[*vars(fold).values()] for fold in folds], dtype="datetime64[D]"))
    assert places[:, 3].tolist() == [699, 799, 899, 999]
    assert places[:, 2].tolist() == [599, 699, 799, 899]
    assert (np.diff(places, axis=1) > 0).all()
    assert all(later.calibration_end == earlier.measured_end for earlier, later in pairwise(folds))


def test_too_few_days_for_so_many_folds_are_refused() -> None:
    with pytest.raises(TooFewPairsError, match="300 trading days are too few for 4 folds"):
        walk_forward(weekdays(300), 4)


def test_the_choice_sees_no_day_of_the_test_part_nor_of_the_gate() -> None:
    bars, config = {"A": make_bars(900)}, tiny_config(gate_days=250)

    chosen_from = choosing_bars(config, bars)

    assert chosen_from["A"].cutoff == part_dates(config, bars).calibration_end
    assert len(chosen_from["A"]) <= 650
