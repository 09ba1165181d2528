"""The test's arithmetic by hand, its tail beside SciPy's, and its size by simulation."""

import numpy as np
import pytest
from scipy import stats

from ml_lifecycle.evaluation.gate_significance import (
    bartlett_lags,
    diebold_mariano,
    long_run_variance,
    student_t_tail,
)


@pytest.mark.parametrize("degrees", [1.3, 4.2, 11.7, 57.3, 400.0, 6000.0])
@pytest.mark.parametrize("statistic", [0.0, 1e-3, 0.3, 1.0, 2.0, 3.5, 8.0, 20.0])
def test_the_tail_is_that_of_scipy(statistic: float, degrees: float) -> None:
    assert student_t_tail(statistic, degrees) == pytest.approx(stats.t.sf(statistic, degrees), rel=1e-9)
    assert student_t_tail(-statistic, degrees) == pytest.approx(stats.t.cdf(statistic, degrees), rel=1e-9)


def test_the_variance_of_four_numbers() -> None:
    """Around their mean 2.5: products 5.0, then 1.25 at lag 1, which counts half."""
    series = np.array([1.0, 2.0, 3.0, 4.0])

    assert long_run_variance(series, 0) == pytest.approx(5.0 / 4)
    assert long_run_variance(series, 1) == pytest.approx((5.0 + 2 * 0.5 * 1.25) / 4)


def test_the_statistic_of_a_short_series() -> None:
    """Of 100 gains 1 and -0.5 in turn: mean 0.25, every product 0.5625 with its sign, four lags, one-day horizon."""
    gains = np.tile([1.0, -0.5], 50)
    variance = 0.5625 * (1 + 2 * sum((1 - lag / 5) * (-1) ** lag * (100 - lag) / 100 for lag in range(1, 5)))

    found = diebold_mariano(gains, overlap=1)

    assert found.statistic == pytest.approx(0.25 / np.sqrt(variance / 100) * np.sqrt(99 / 100))
    assert found.degrees_of_freedom == pytest.approx(1.5 * 100 / 5)
    assert found.p_value == pytest.approx(stats.t.sf(found.statistic, 30.0), rel=1e-9)


@pytest.mark.parametrize("always", [0.0, 0.3, -1e-9])
def test_gains_that_never_vary_prove_nothing(always: float) -> None:
    found = diebold_mariano(np.full(200, always), overlap=21)

    assert (found.statistic, found.p_value) == (None, 1.0)


@pytest.mark.parametrize("overlap", [1, 21])
def test_noise_whose_outcomes_overlap_seldom_comes_out_below_a_fortieth(overlap: int) -> None:
    """Sums of 21 steps are the hardest case: 4 in 100 do, 17 in 100 if the overlap were forgotten."""
    rng = np.random.default_rng(overlap)
    sums = np.cumsum(rng.standard_normal((1_000, 229 + overlap)), axis=1)
    series = sums[:, overlap:] - sums[:, :-overlap]

    found, forgotten = (
        np.mean([diebold_mariano(gains, overlap=told).p_value < 0.025 for gains in series]) for told in (overlap, 1)
    )

    assert found <= stats.binom.ppf(0.99, 1_000, 0.04) / 1_000
    assert overlap == 1 or forgotten > 0.15


def test_the_critical_value_is_that_of_a_fixed_share_of_lags() -> None:
    """Kiefer and Vogelsang (2005), Bartlett's weights, 97.5 %, for the gate's year of days and its longest horizon."""
    n, overlap = 229, 21
    share = (bartlett_lags(n, overlap) + 1) / n
    theirs = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
    correction = np.sqrt((n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n)

    assert stats.t.ppf(0.975, 1.5 / share) / correction == pytest.approx(theirs, rel=0.01)
