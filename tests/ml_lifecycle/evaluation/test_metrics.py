"""Measures on four numbers; the examples in their docstrings are tests too."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from ml_lifecycle.evaluation import metrics

ACTUAL = np.array([0.02, -0.01, 0.0, 0.04])
FORECAST = np.array([0.01, 0.01, 0.02, 0.0])


def test_direction_counts_only_moves_that_were_foretold_and_came() -> None:
    """Of four, one closed unchanged and one was forecast at 0: one hit in two."""
    assert metrics.directional_accuracy(ACTUAL, FORECAST) == 0.5
    assert metrics.directional_accuracy(ACTUAL, np.zeros(4)) is None


def test_always_up_is_right_as_often_as_prices_rise() -> None:
    assert metrics.share_of_rises(ACTUAL) == pytest.approx(2 / 3)


def test_r_squared_of_the_mean_is_0_and_without_variation_there_is_none() -> None:
    assert metrics.r_squared(ACTUAL, np.full(4, ACTUAL.mean())) == pytest.approx(0.0)
    assert metrics.r_squared(np.ones(3), np.zeros(3)) is None


def test_the_information_coefficient_is_spearmans_with_ties_shared() -> None:
    rng = np.random.default_rng(0)
    actual, forecast = rng.normal(size=50).round(1), rng.normal(size=50).round(1)

    assert metrics.information_coefficient(actual, forecast) == pytest.approx(spearmanr(actual, forecast).statistic)
    assert metrics.information_coefficient(actual, np.zeros(50)) is None
    assert metrics.information_coefficient(actual[:1], forecast[:1]) is None


def test_pinball_loss_charges_a_high_quantile_little_for_being_above() -> None:
    losses = metrics.pinball_losses(np.array([1.0, 1.0]), np.array([[2.0], [0.0]]), [0.9])

    assert losses.tolist() == pytest.approx([0.1, 0.9])


def test_pinball_loss_is_least_at_the_true_quantile() -> None:
    sample = np.random.default_rng(1).normal(size=20_000)
    tried = np.linspace(0.5, 2.5, 41)

    losses = [metrics.pinball_losses(sample, np.full((len(sample), 1), at), [0.9]).mean() for at in tried]

    assert tried[int(np.argmin(losses))] == pytest.approx(1.2816, abs=0.06)


def test_coverage_counts_the_ends_and_comes_with_a_width() -> None:
    lower, upper = np.array([0.0, 0.0, 0.0, 0.0]), np.array([0.02, 0.02, 0.02, 0.02])

    assert metrics.coverage(ACTUAL, lower, upper) == 0.5
    assert metrics.mean_width(lower, upper) == pytest.approx(0.02)


def test_percentage_error_is_measured_on_what_came() -> None:
    assert metrics.mean_absolute_percentage_error(np.array([200.0]), np.array([100.0])) == 0.5
