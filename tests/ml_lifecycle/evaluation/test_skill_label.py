"""A label must not be won by luck, and must be won by merit."""

import json

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.skill_label import Label, skill_label
from tests.made_up_bars import weekdays

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def test_fewer_than_sixty_days_tell_nothing() -> None:
    skill = skill_label(np.zeros(59), np.ones(59), weekdays(59), horizon=1)

    assert (skill.label, skill.pinball_skill, skill.interval) == (Label.NOT_YET_MEASURED, None, None)


def test_long_horizons_need_ten_of_their_spans() -> None:
    losses = np.random.default_rng(0).uniform(0.5, 1.5, 299)

    assert skill_label(losses, losses + 0.5, weekdays(299), horizon=30).label is Label.NOT_YET_MEASURED
    assert skill_label(losses, losses + losses, weekdays(299), horizon=5).label is Label.BETTER


def test_every_fifth_day_as_a_cutoff_overlaps_less() -> None:
    losses = np.random.default_rng(0).uniform(0.5, 1.5, 70)

    assert skill_label(losses, 2 * losses, weekdays(350)[::5], horizon=30).label is Label.BETTER
    assert skill_label(losses, 2 * losses, weekdays(70), horizon=30).label is Label.NOT_YET_MEASURED


def test_a_steady_gain_is_better_and_a_steady_loss_is_worse() -> None:
    naive = np.random.default_rng(0).uniform(0.5, 1.5, 200)

    better = skill_label(0.9 * naive, naive, weekdays(200), horizon=1, relative_mae=0.99)
    worse = skill_label(1.1 * naive, naive, weekdays(200), horizon=1)

    assert (better.label, worse.label) == (Label.BETTER, Label.WORSE)
    assert better.pinball_skill == pytest.approx(0.1)
    assert better.interval is not None
    assert better.interval[0] < 0.1 < better.interval[1]
    assert json.loads(json.dumps(better.to_dict()))["label"] == "better"


def test_the_naive_against_itself_is_not_distinguishable() -> None:
    naive = np.random.default_rng(0).uniform(0.5, 1.5, 200)

    assert skill_label(naive, naive, weekdays(200), horizon=5).label is Label.NOT_DISTINGUISHABLE


def test_one_lucky_day_with_many_tickers_is_one_day() -> None:
    """A thousand tickers gained on one day of a hundred: that is one observation, not a thousand."""
    days = np.concatenate([weekdays(100), np.repeat(weekdays(100)[50], 1000)])
    naive = np.ones(1100)
    gained = np.where(np.arange(1100) < 100, 1.0, 0.5)

    assert skill_label(gained, naive, days, horizon=1).label is Label.NOT_DISTINGUISHABLE


@pytest.mark.parametrize("horizon", [1, 21])
def test_random_walks_are_not_distinguishable_from_naive_in_19_of_20(horizon: int) -> None:
    """Another honest forecaster without an edge: it takes its quantiles from half the history that the naive does."""
    rng = np.random.default_rng(horizon)
    labels = [_label_on_a_random_walk(rng, horizon) for _ in range(200)]

    assert labels.count(Label.NOT_DISTINGUISHABLE) >= 190


def test_volatility_that_is_known_beats_volatility_that_is_not() -> None:
    """Calm and stormy halves of each month, and a forecaster that is told which: the label must see that."""
    rng = np.random.default_rng(5)
    size = np.where(np.arange(1500) % 20 < 10, 0.005, 0.02)
    returns = size * rng.standard_normal(1500)
    z = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])

    adj_close, ends = np.exp(np.cumsum(returns)), np.arange(1100, 1499)
    naive = naive_quantiles_at(adj_close, ends, (1,), LEVELS)[:, 0]
    losses = [pinball_losses(returns[ends + 1], quantiles, LEVELS) for quantiles in (size[ends + 1, None] * z, naive)]

    assert skill_label(*losses, weekdays(399), horizon=1).label is Label.BETTER


def _label_on_a_random_walk(rng: np.random.Generator, horizon: int) -> Label:
    adj_close = np.exp(np.cumsum(0.01 * rng.standard_normal(1480)))
    ends = np.arange(1100, 1450)
    days: DayArray = weekdays(1480)[ends]
    actual = np.log(adj_close[ends + horizon] / adj_close[ends])
    naive = naive_quantiles_at(adj_close, ends, (horizon,), LEVELS)[:, 0]
    shorter = _shorter_memory(adj_close, ends, horizon)
    losses = (pinball_losses(actual, quantiles, LEVELS) for quantiles in (shorter, naive))
    return skill_label(*losses, days, horizon=horizon).label


def _shorter_memory(adj_close: FloatArray, ends: np.ndarray, horizon: int) -> FloatArray:
    returns = np.log(adj_close[horizon:] / adj_close[:-horizon])
    spans = np.lib.stride_tricks.sliding_window_view(returns, 500)[ends - horizon - 499]
    quantiles: FloatArray = np.quantile(spans, LEVELS, axis=1).T
    quantiles[:, 3] = 0.0
    return quantiles
