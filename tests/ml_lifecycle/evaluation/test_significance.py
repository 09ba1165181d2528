"""The test's arithmetic by hand, and its size by simulation."""

import numpy as np
import pytest
from scipy import stats

from ml_lifecycle.evaluation.significance import (
    FEWEST_DAYS,
    bartlett_lags,
    daily_means,
    known_mean,
    long_run_variance,
    mean_over_days,
    overlapping_cutoffs,
)
from tests.made_up_bars import weekdays


def test_the_variance_of_four_numbers() -> None:
    """Around their mean 2.5: products 5.0, then 1.25 at lag 1, which counts half."""
    series = np.array([1.0, 2.0, 3.0, 4.0])

    assert long_run_variance(series, 0) == pytest.approx(5.0 / 4)
    assert long_run_variance(series, 1) == pytest.approx((5.0 + 2 * 0.5 * 1.25) / 4)


def test_a_short_series_by_hand() -> None:
    """Of 100 gains 1 and -0.5 in turn: mean 0.25, every product 0.5625 with its sign, four lags, one-day horizon."""
    gains = np.tile([1.0, -0.5], 50)
    variance = 0.5625 * (1 + 2 * sum((1 - lag / 5) * (-1) ** lag * (100 - lag) / 100 for lag in range(1, 5)))
    statistic = 0.25 / np.sqrt(variance / 100) * np.sqrt(99 / 100)

    found = known_mean(gains, overlap=1)

    assert (found.value, found.degrees_of_freedom) == (pytest.approx(0.25), pytest.approx(1.5 * 100 / 5))
    assert found.statistic == pytest.approx(statistic)
    assert found.p_not_above_zero == pytest.approx(stats.t.sf(statistic, 30.0), rel=1e-9)
    assert found.p_zero == pytest.approx(2 * stats.t.sf(statistic, 30.0), rel=1e-9)
    assert found.half_width == pytest.approx(0.25 / statistic * stats.t.isf(0.01, 30.0), rel=1e-9)


def test_a_loss_is_as_sure_as_a_gain() -> None:
    gains = np.random.default_rng(0).normal(0.2, 1.0, 200)

    gained, lost = (known_mean(sign * gains, overlap=5) for sign in (1.0, -1.0))

    assert gained.p_zero == lost.p_zero
    assert gained.p_not_above_zero + lost.p_not_above_zero == pytest.approx(1.0)


@pytest.mark.parametrize("always", [0.0, 0.3, -1e-9])
def test_gains_that_never_vary_prove_nothing(always: float) -> None:
    found = known_mean(np.full(200, always), overlap=21)

    assert (found.statistic, found.p_not_above_zero, found.p_zero, found.half_width) == (None, 1.0, None, None)


def test_as_many_days_as_overlap_prove_nothing() -> None:
    """All their outcomes share a day: they are one observation."""
    gains = np.random.default_rng(0).normal(1.0, 0.1, 22)

    assert known_mean(gains[:21], overlap=21).p_zero is None
    assert known_mean(gains, overlap=21).p_zero is not None
    assert known_mean(gains[: FEWEST_DAYS - 1], overlap=1).p_zero is None


def test_many_tickers_of_one_day_are_one_value() -> None:
    """A thousand tickers gained on one day of a hundred."""
    days = np.concatenate([weekdays(100), np.repeat(weekdays(100)[50], 1000)])
    gains = np.where(np.arange(1100) < 100, 0.0, 0.5)

    found = mean_over_days(gains, days, horizon=1)

    assert daily_means(gains, days)[50] == pytest.approx(500.0 / 1001)
    assert found.value == pytest.approx(5.0 / 1001)
    assert found.p_zero is not None
    assert found.p_zero > 0.3


@pytest.mark.parametrize(("every", "overlap"), [(1, 21), (2, 11), (3, 7), (5, 5), (10, 3), (30, 1)])
def test_overlap_is_counted_in_cutoffs(every: int, overlap: int) -> None:
    assert overlapping_cutoffs(weekdays(600)[::every], 21) == overlap


def test_a_hole_and_days_without_trade_bring_cutoffs_no_nearer() -> None:
    days = np.delete(weekdays(600), [*range(100, 350), 40, 41, 80])

    assert overlapping_cutoffs(days, 21) == 21
    assert overlapping_cutoffs(days[:1], 21) == 21
    assert overlapping_cutoffs(np.arange("2024-01-01", "2024-06-01", dtype="datetime64[D]"), 21) == 21  # crypto


@pytest.mark.parametrize(
    ("n_days", "overlap", "size"), [(490, 1, 0.055), (98, 5, 0.084), (490, 21, 0.08), (229, 21, 0.087)]
)
def test_noise_whose_outcomes_overlap_seldom_comes_out_below_a_twentieth(
    n_days: int, overlap: int, size: float
) -> None:
    """Sums of neighbours are the hardest case: 8 or 9 in 100 do, 13 to 30 if their overlap were forgotten.

    Two years of every fifth day at 21 days ahead, as in the skill table; of every day; the gate's year.
    """
    rng = np.random.default_rng(20261121)
    sums = np.cumsum(rng.standard_normal((1_000, n_days + overlap)), axis=1)
    series = sums[:, overlap:] - sums[:, :-overlap]

    found, forgotten = (
        np.mean([(known_mean(gains, overlap=told).p_zero or 0.0) < 0.05 for gains in series]) for told in (overlap, 1)
    )

    assert found <= stats.binom.ppf(0.99, 1_000, size) / 1_000
    assert overlap == 1 or forgotten > 1.4 * size


def test_the_critical_value_is_that_of_a_fixed_share_of_lags() -> None:
    """Kiefer and Vogelsang (2005), Bartlett's weights, 97.5 %, for the gate's year of days and its longest horizon."""
    n, overlap = 229, 21
    share = (bartlett_lags(n, overlap) + 1) / n
    theirs = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
    correction = np.sqrt((n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n)

    assert stats.t.ppf(0.975, 1.5 / share) / correction == pytest.approx(theirs, rel=0.01)
