"""Adaptive intervals along the past: what is known when, what moves, and when it is worth it."""

from statistics import NormalDist

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.adaptive import Past, adaptive_along, choose_adaptive
from ml_lifecycle.export.conformal import AdaptiveChoice, AdaptiveState, apply_adaptive
from ml_lifecycle.export.manifest import LEVELS

NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
EIGHTY = LEVELS.index(0.1)  # place of the 80 % interval among the four, widest first


def past_of(actual: FloatArray, *, every: int = 1) -> Past:
    """Standard normal forecasts at every ``every``-th bar; ``actual (n, n_horizons)`` came."""
    n, n_horizons = actual.shape
    bars = np.arange(n) * every
    return Past(np.datetime64("2020-01-01", "D") + bars, bars, np.tile(NORMAL, (n, n_horizons, 1)), actual)


def outcomes(n: int, n_horizons: int = 1, *, spread: float = 1.0, seed: int = 0) -> FloatArray:
    return spread * np.random.default_rng(seed).standard_normal((n, n_horizons))


def test_alpha_moves_by_the_step_times_promise_minus_miss() -> None:
    """By hand at 80 %, step 0.1: a hit adds 0.1 · 0.2, a miss takes 0.1 · 0.8."""
    along = adaptive_along(past_of(np.array([[0.0], [0.0], [9.0], [0.0], [0.0]])), LEVELS, (1,), step=0.1)

    assert along.alphas[:, 0, EIGHTY].tolist() == pytest.approx([0.2, 0.22, 0.24, 0.16, 0.18])


def test_intervals_are_read_at_the_alpha_in_use_as_serving_reads_them() -> None:
    past = past_of(outcomes(60, 2, spread=3.0))

    along = adaptive_along(past, LEVELS, (1, 5), step=0.02)

    for cutoff in (0, 7, 59):
        state = AdaptiveState(along.alphas[cutoff])
        np.testing.assert_array_equal(along.quantiles[cutoff], apply_adaptive(past.quantiles[cutoff], LEVELS, state))
    assert (np.diff(along.quantiles, axis=-1) >= 0.0).all()


@pytest.mark.parametrize(("every", "horizon", "first_moved"), [(1, 1, 1), (1, 5, 5), (5, 5, 1), (5, 6, 2), (5, 21, 5)])
def test_an_outcome_is_learnt_from_the_bar_on_which_it_is_final(every: int, horizon: int, first_moved: int) -> None:
    """The outcome of the first cutoff is known ``horizon`` bars later, at the first cutoff from there on."""
    along = adaptive_along(past_of(np.full((8, 1), 9.0), every=every), LEVELS, (horizon,))

    moved = along.alphas[:, 0, EIGHTY] != 0.2
    assert moved.tolist() == [place >= first_moved for place in range(8)]


@pytest.mark.parametrize("horizon", [1, 5, 21])
def test_later_outcomes_change_nothing(horizon: int) -> None:
    """Up to cutoff 100, whatever became of the outcomes that were not final by then is without effect."""
    actual = outcomes(160)
    changed = np.where(np.arange(160)[:, None] + horizon > 100, -50.0, actual)

    before, after = (adaptive_along(past_of(values), LEVELS, (horizon,), step=0.05) for values in (actual, changed))

    np.testing.assert_array_equal(after.alphas[:101], before.alphas[:101])
    np.testing.assert_array_equal(after.quantiles[:101], before.quantiles[:101])
    assert (after.alphas[101:] != before.alphas[101:]).any()


def test_each_horizon_learns_from_its_own_outcomes() -> None:
    actual = outcomes(80, 3)

    together = adaptive_along(past_of(actual), LEVELS, (1, 5, 21))

    for place, horizon in enumerate((1, 5, 21)):
        alone = adaptive_along(past_of(actual[:, [place]]), LEVELS, (horizon,))
        np.testing.assert_array_equal(together.alphas[:, [place]], alone.alphas)


def test_an_unknown_outcome_teaches_nothing() -> None:
    along = adaptive_along(past_of(np.array([[np.nan], [9.0], [np.nan], [0.0]])), LEVELS, (1,), step=0.1)

    assert along.alphas[:, 0, EIGHTY].tolist() == pytest.approx([0.2, 0.2, 0.12, 0.12])


def test_alpha_stays_within_its_range_and_comes_back_at_once() -> None:
    """The state itself is clipped: after a storm of any length the first hit narrows the interval again."""
    actual = np.concatenate([np.full((300, 1), 99.0), np.zeros((2, 1))])

    alphas = adaptive_along(past_of(actual), LEVELS, (1,), step=0.05).alphas[:, 0, EIGHTY]

    assert alphas.min() == 0.005
    assert alphas[-1] == pytest.approx(0.005 + 0.05 * 0.2)


def test_coverage_returns_where_outcomes_have_become_wilder() -> None:
    """Half as wild again as foretold: the fixed 80 % interval holds 61 %, the adaptive one comes back to 80 %."""
    actual = outcomes(4000, spread=1.5, seed=1)

    along = adaptive_along(past_of(actual), LEVELS, (1,), step=0.01)

    inside = metrics.coverage(
        actual[1000:, 0], along.quantiles[1000:, 0, EIGHTY], along.quantiles[1000:, 0, -1 - EIGHTY]
    )
    assert inside == pytest.approx(0.8, abs=0.015)
    assert metrics.coverage(actual[:, 0], np.full(4000, NORMAL[EIGHTY]), np.full(4000, -NORMAL[EIGHTY])) < 0.65


@pytest.mark.parametrize(
    ("levels", "reason"), [((0.3, 0.5, 0.7), "promise less than 50%"), ((0.1, 0.5, 0.8), "not symmetric")]
)
def test_an_interval_of_less_than_one_half_or_with_uneven_ends_cannot_adapt(
    levels: tuple[float, ...], reason: str
) -> None:
    past = past_of(outcomes(5))

    with pytest.raises(ConfigurationError, match=reason):
        adaptive_along(Past(past.days, past.bars, past.quantiles[..., 3:6], past.actual), levels, (1,))


def test_adapting_stays_off_where_the_offsets_already_hold() -> None:
    """Outcomes just as calibrated: each error then moves an interval that was right."""
    choice = choose_adaptive([past_of(outcomes(400, seed=seed)) for seed in range(8)], LEVELS, (1,), step=0.05)

    assert not choice.on
    assert choice.figures is not None
    assert choice.figures.adaptive_pinball > choice.figures.pinball
    assert choice.figures.levels == (0.95, 0.9, 0.8, 0.5)
    assert choice.figures.coverage == pytest.approx(choice.figures.levels, abs=0.03)


def test_adapting_goes_on_where_the_spread_changes_after_calibration() -> None:
    series = [
        past_of(np.concatenate([outcomes(300, seed=seed), outcomes(300, spread=3.0, seed=seed)])) for seed in (1, 2)
    ]

    choice = choose_adaptive(series, LEVELS, (1,), step=0.02)

    assert choice.on
    assert choice.figures is not None
    assert choice.figures.adaptive_coverage[2] > choice.figures.coverage[2] + 0.1
    assert choice.figures.n == 600


@pytest.mark.parametrize("known", [0, 40])
def test_nothing_measured_is_off(known: int) -> None:
    """No series; none whose older outcomes are final before the newer half begins."""
    series = [past_of(outcomes(40, 1))] if known else []

    assert choose_adaptive(series, LEVELS, (30,)) == AdaptiveChoice(on=False, figures=None)


def test_the_offsets_have_not_seen_what_reaches_into_the_newer_half() -> None:
    """Of 100 cutoffs at horizon 5 the first 45 are final before the 51st; wild outcomes after them move no offset."""
    quiet = outcomes(100)
    wild = np.where((np.arange(100) >= 45)[:, None] & (np.arange(100) < 50)[:, None], 40.0, quiet)

    figures = [choose_adaptive([past_of(values)], LEVELS, (5,)).figures for values in (quiet, wild)]

    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0].pinball == figures[1].pinball
