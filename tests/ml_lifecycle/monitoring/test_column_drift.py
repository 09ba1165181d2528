"""Distances between distributions, counted with the sample size that dependent values are worth."""

from math import log
from typing import Any

import numpy as np
import pytest
from scipy import stats

from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.monitoring.column_drift import (
    WORTH_OF_A_MEMORY,
    ColumnSample,
    TooFewDaysError,
    TrainingColumns,
    compare_samples,
    compare_with_training,
    parts_of,
)
from ml_lifecycle.training.config import load_config
from tests.made_up_bars import make_bars

FIRST = np.datetime64("2012-01-02", "D")
TICKERS = 30


def moving_together(n_days: int, *, seed: int, memory: float = 0.9) -> np.ndarray:
    """A market state that follows itself, the same for all tickers but for little noise; ``(n_days, TICKERS)``."""
    source = np.random.default_rng(seed)
    state = np.zeros(n_days)
    shocks = source.normal(scale=np.sqrt(1 - memory**2), size=n_days)
    for day in range(1, n_days):
        state[day] = memory * state[day - 1] + shocks[day]
    return state[:, None] + source.normal(scale=0.3, size=(n_days, TICKERS))


def sample(values: np.ndarray, *, first_day: int = 0, memory: int = 1) -> ColumnSample:
    """One column of many tickers."""
    days = np.repeat(FIRST + first_day + np.arange(len(values)), values.shape[1])
    return ColumnSample(("state",), (memory,), values.reshape(-1, 1), days)


def trained_on(values: np.ndarray) -> TrainingColumns:
    """What ``reference.json`` would hold."""
    edges, shares = parts_of(values.ravel())
    read = TrainingColumns.from_dict({"columns": [{"name": "state", "edges": edges, "shares": shares}]})
    assert read is not None
    return read


def test_distances_are_those_of_the_textbook() -> None:
    """KS as SciPy has it; PSI over the reference's deciles by hand, ten more values as in the reference."""
    old, new = np.random.default_rng(1).normal(size=(2, 40, TICKERS))
    new = new + 0.5

    (found,) = compare_samples(sample(old), sample(new, first_day=40))

    edges = np.quantile(old, np.arange(0.1, 1.0, 0.1))
    counts = np.bincount(np.searchsorted(edges, new.ravel(), side="right"), minlength=10)
    shares = (counts + 1.0) / (new.size + 10.0)
    assert found.ks == pytest.approx(stats.ks_2samp(old.ravel(), new.ravel()).statistic)
    assert found.psi == pytest.approx(sum((a - 0.1) * log(a / 0.1) for a in shares))
    assert found.severity == "moved"


def test_months_that_follow_each_other_are_no_drift_where_counting_values_finds_nothing_else() -> None:
    """The same law throughout: a test of values alarms in nearly every pair, ours in hardly any."""
    alarms, naive_alarms = 0, 0
    for seed in range(60):
        values = moving_together(500, seed=seed)
        (found,) = compare_samples(sample(values[:250]), sample(values[250:], first_day=250))
        alarms += found.severity != "none"
        naive_alarms += stats.ks_2samp(values[:250].ravel(), values[250:].ravel(), method="asymp").pvalue < 0.01

    assert naive_alarms > 50
    assert alarms <= 3


def test_a_shift_is_found_in_dependent_values_too() -> None:
    """One and a half deviations."""
    values = moving_together(500, seed=3)

    (found,) = compare_samples(sample(values[:250]), sample(values[250:] + 1.5, first_day=250))
    (beside_training,) = compare_with_training(trained_on(moving_together(5000, seed=4)), sample(values[:250] + 1.5))

    assert found.severity == beside_training.severity == "far"


def test_independent_days_are_worth_their_number_and_tickers_that_move_as_one_are_worth_one() -> None:
    """Between 100 and 400 for 250 days of one market, where there are 7,500 values."""
    calm = np.random.default_rng(5).normal(size=(250, 1)) + np.zeros((1, TICKERS))

    (found,) = compare_with_training(trained_on(np.random.default_rng(6).normal(size=(5000, 1))), sample(calm))

    assert 100 < found.effective_n < 400


def test_a_column_that_looks_far_back_is_worth_little() -> None:
    """250 days of what looks at 500 bars are less than one state of the market."""
    calm = np.random.default_rng(7).normal(size=(250, TICKERS))

    (found,) = compare_with_training(trained_on(calm), sample(calm, memory=500))

    assert found.effective_n == WORTH_OF_A_MEMORY


@pytest.mark.parametrize(("memory", "worth"), [(500, 3.0), (125, 6.0)])
def test_few_tickers_are_worth_no_more_states_than_they_can_have(memory: int, worth: float) -> None:
    """One for each ticker and time that the column looks back."""
    calm = np.random.default_rng(7).normal(size=(250, 3))

    (beside_training,) = compare_with_training(trained_on(calm), sample(calm, memory=memory))
    many, few = sample(np.tile(calm, 10), memory=memory), sample(calm + 1e-9, first_day=250, memory=memory)
    beside_days = [compare_samples(*pair)[0].effective_n for pair in ((many, few), (few, many))]

    assert [beside_training.effective_n, *beside_days] == [worth] * 3


def test_a_column_that_few_tickers_know_is_worth_what_they_are() -> None:
    """Where it is not known there is nothing to judge it by."""
    calm = np.random.default_rng(7).normal(size=(250, TICKERS))
    known_of_two = np.where(np.arange(TICKERS) < 2, calm, np.nan)

    (found,) = compare_with_training(trained_on(calm), sample(known_of_two + 5.0, memory=500))

    assert (found.effective_n, found.provable, found.severity) == (2.0, False, "none")


def test_a_column_that_was_constant_says_what_it_is_now() -> None:
    """One edge, at the constant: all values lie in the part above it."""
    still, moving = np.full((60, 5), 2.0), np.random.default_rng(8).normal(size=(60, 5))

    assert compare_with_training(trained_on(still), sample(still))[0].severity == "none"
    assert compare_with_training(trained_on(still), sample(moving))[0].severity == "far"
    assert compare_samples(sample(still), sample(still))[0].ks == 0.0


def test_a_column_that_stands_still_has_left_its_reference() -> None:
    """It has no spread of its own to be judged by."""
    still, moving = np.zeros((60, 5)), np.random.default_rng(8).normal(size=(60, 5))

    assert compare_with_training(trained_on(moving), sample(still))[0].severity == "far"
    assert compare_samples(sample(moving), sample(still, first_day=60))[0].severity == "far"


def test_the_same_days_with_the_same_values_take_no_part() -> None:
    """Two versions, one ten days longer than the other: what they share tells nothing of a difference."""
    values = moving_together(260, seed=9)

    (found,) = compare_samples(sample(values[:250]), sample(values[10:], first_day=10))
    (apart,) = compare_samples(sample(values[:125]), sample(values[125:250], first_day=125))

    assert found.severity == "none"
    assert found.ks < apart.ks
    assert found.effective_n > apart.effective_n


def test_a_sample_is_the_newest_days_of_all_tickers_together() -> None:
    """A ticker that was delisted years ago is in none of them; one with few bars is left out."""
    spec = load_config("closes").input_spec
    many = {"A": make_bars(400, seed=1), "B": make_bars(400, seed=2), "NEW": make_bars(5, seed=3)}
    gone = make_bars(400, seed=4)
    many["GONE"] = BarArrays(**{**vars(gone), "trading_day": gone.trading_day - 3000})

    taken = ColumnSample.of(many.items(), spec, days=30, which="any")

    assert taken.names == (*spec.columns, *spec.context_columns)
    assert taken.values.shape == (60, len(taken.names))
    assert taken.n_days == 30
    assert taken.days.max() == many["A"].trading_day[-1]


@pytest.mark.parametrize(("bars", "days"), [({}, 250), ({"A": make_bars(400)}, 5)])
def test_a_handful_of_days_is_refused(bars: dict[str, Any], days: int) -> None:
    """By the name of the sample that lacks them."""
    with pytest.raises(TooFewDaysError, match="data version 3: 20 days with usable inputs needed"):
        ColumnSample.of(bars.items(), load_config("closes").input_spec, days=days, which="data version 3")


def test_a_bundle_without_a_training_distribution_has_none() -> None:
    assert TrainingColumns.from_dict({"columns": []}) is None
