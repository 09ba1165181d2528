"""Figures of scored forecasts, held against SciPy's and against what is true by construction."""

import numpy as np
import pytest
from scipy.stats import binomtest

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.skill_label import Label, skill_label
from ml_lifecycle.monitoring.coverage_test import binomial_p, coverage_test
from ml_lifecycle.monitoring.live_figures import DaySums, live_figures
from tests.made_up_bars import weekdays

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


def sums_of(errors: FloatArray, naive: FloatArray, inside: float = 0.8) -> DaySums:
    """Sums by day of losses of shape ``(n_days, n_tickers)``; pinball losses are the absolute errors' halves."""
    n_days, n_tickers = errors.shape
    n = np.full(n_days, float(n_tickers))
    return DaySums(
        days=weekdays(n_days),
        n=n,
        voids=np.zeros(n_days),
        absolute_error=errors.sum(axis=1),
        naive_absolute_error=naive.sum(axis=1),
        compared=n,
        compared_pinball=errors.sum(axis=1) / 2,
        naive_pinball=naive.sum(axis=1) / 2,
        directions=n,
        direction_hits=n / 2,
        inside=np.tile(inside * n[:, None], (1, 4)),
    )


def test_sums_by_day_give_the_label_of_the_single_forecasts() -> None:
    """`skill_label` reads daily means only; ``n`` counts forecasts."""
    rng = np.random.default_rng(3)
    naive = np.abs(rng.normal(0.0, 0.02, (250, 7)))
    errors = naive * 0.97 + rng.normal(0.0, 0.002, naive.shape)

    found = live_figures(sums_of(errors, naive), horizon=5, levels=LEVELS, source="live")

    days = np.repeat(weekdays(250), 7)
    wanted = skill_label(errors.ravel() / 2, naive.ravel() / 2, days, horizon=5, source="live")
    assert (found.skill.label, found.skill.n, found.scored) == (Label.BETTER, 7 * 250, 7 * 250)
    assert found.skill.pinball_skill == pytest.approx(wanted.pinball_skill, rel=1e-12)
    assert found.skill.interval == pytest.approx(wanted.interval, rel=1e-12)
    assert found.relative_mae == pytest.approx(errors.sum() / naive.sum(), rel=1e-12)


def test_the_relative_error_s_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 300 forecasters that are exactly as good as the naive, days of 5 tickers that move together."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        market = np.abs(rng.normal(0.0, 0.01, (120, 1)))
        naive, errors = (market + np.abs(rng.normal(0.0, 0.01, (120, 5))) for _ in range(2))
        interval = live_figures(sums_of(errors, naive), horizon=1, levels=LEVELS, source="live").relative_mae_interval
        assert interval is not None
        held += interval[0] <= 1.0 <= interval[1]

    assert 0.92 <= held / 300 <= 0.98


def test_random_walks_are_not_distinguishable_from_the_naive() -> None:
    """Live as in backtests: overlapping outcomes of five days, no skill either way."""
    rng = np.random.default_rng(5)
    labels = []
    for _ in range(100):
        shocks = rng.normal(0.0, 1.0, (204, 2))
        losses = np.abs(np.stack([np.convolve(shock, np.ones(5), "valid") for shock in shocks.T]))[:, :, None]
        labels.append(live_figures(sums_of(*losses), horizon=5, levels=LEVELS, source="live").skill.label)

    assert labels.count(Label.NOT_DISTINGUISHABLE) >= 95


def test_few_days_tell_nothing() -> None:
    """Shares and ratios are told; labels, intervals and tests are not."""
    losses = np.full((5, 3), 0.01)

    found = live_figures(sums_of(losses, losses), horizon=1, levels=LEVELS, source="live")

    assert (found.relative_mae, found.relative_mae_interval) == (1.0, None)
    assert found.skill.label is Label.NOT_YET_MEASURED
    assert [test.p for test in found.coverage] == [None] * 4


@pytest.mark.parametrize(
    ("successes", "trials", "level"), [(0, 1, 0.5), (41, 60, 0.8), (990, 1_000, 0.95), (5, 9, 0.9)]
)
def test_binomial_tails_are_scipy_s(successes: int, trials: int, level: float) -> None:
    """Twice the smaller tail."""
    tails = [binomtest(successes, trials, level, alternative=side).pvalue for side in ("less", "greater")]

    assert binomial_p(successes, trials, level) == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9)


def covered(share: float, *, n_days: int, n_tickers: int, together: bool, seed: int) -> FloatArray:
    """How many of each day's forecasts held; ``together``: all of a day or none."""
    rng = np.random.default_rng(seed)
    held = rng.random((n_days, 1 if together else n_tickers)) < share
    counts: FloatArray = np.broadcast_to(held, (n_days, n_tickers)).sum(axis=1).astype(np.float64)
    return counts


@pytest.mark.parametrize("together", [False, True])
def test_a_kept_promise_is_rarely_rejected_however_tickers_move(together: bool) -> None:
    """At 1 %: of 200 intervals that hold 80 % a handful at most; counted as independent, most would be."""
    n = np.full(120, 50.0)
    rejected = [
        coverage_test(covered(0.8, n_days=120, n_tickers=50, together=together, seed=seed), n, 0.8, overlap=1).rejected
        for seed in range(200)
    ]

    assert rejected.count(True) <= 8


def test_a_broken_promise_is_rejected() -> None:
    """An interval of 80 % that holds 70 % of 120 days of 50 independent tickers; and one that always holds."""
    n = np.full(120, 50.0)

    broken = coverage_test(covered(0.7, n_days=120, n_tickers=50, together=False, seed=1), n, 0.8, overlap=1)
    always = coverage_test(n, n, 0.8, overlap=1)

    assert (broken.rejected, always.rejected) == (True, True)
    assert always.n_effective == 120  # of the days nothing more is known than that they are days
