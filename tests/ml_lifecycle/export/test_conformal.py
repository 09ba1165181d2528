"""Static offsets are scaled units by horizon; the adaptive state moves interval ends, and nothing without one."""

import numpy as np
import pytest
from pydantic import ValidationError

from ml_lifecycle.export.conformal import (
    AdaptiveChoice,
    AdaptiveFigures,
    AdaptiveStart,
    AdaptiveState,
    Calibration,
    apply_adaptive,
    nominal_alphas,
)
from ml_lifecycle.export.manifest import HORIZONS, LEVELS

NORMAL = np.array([-1.959964, -1.644854, -1.281552, -0.674490, 0.0, 0.674490, 1.281552, 1.644854, 1.959964])
QUANTILES = 0.02 * np.sqrt(np.arange(1, 31))[:, None] * NORMAL


def test_without_a_state_nothing_changes() -> None:
    """The very same array."""
    assert apply_adaptive(QUANTILES, LEVELS, None) is QUANTILES


def test_a_state_at_the_promised_levels_changes_nothing() -> None:
    """α = 0.05, 0.1, 0.2, 0.5 for the intervals of 95, 90, 80 and 50 %."""
    alphas = np.array(nominal_alphas(LEVELS))
    assert alphas.tolist() == [0.05, 0.1, 0.2, 0.5]

    np.testing.assert_allclose(apply_adaptive(QUANTILES, LEVELS, AdaptiveState(alphas)), QUANTILES, atol=1e-15)


def test_an_alpha_between_levels_is_read_on_the_normal_scale() -> None:
    """For a normal forecast α = 0.14 gives the quantiles at 7 % and 93 %: 1.475791 deviations."""
    moved = apply_adaptive(QUANTILES[:1], LEVELS, AdaptiveState(np.array([0.05, 0.1, 0.14, 0.5])))[0]

    np.testing.assert_allclose(moved[[2, 6]], [-0.02951582, 0.02951582], rtol=1e-6)
    np.testing.assert_array_equal(moved[4], QUANTILES[0, 4])


def test_an_alpha_beyond_the_outermost_level_widens_as_a_normal_tail_does() -> None:
    """α = 0.01 for the widest interval: 2.575829 deviations instead of 1.96."""
    moved = apply_adaptive(QUANTILES[:1], LEVELS, AdaptiveState(np.array([0.01, 0.1, 0.2, 0.5])))[0]

    np.testing.assert_allclose(moved[[0, 8]], [-0.05151658, 0.05151658], rtol=1e-6)


@pytest.mark.parametrize(("asked", "used"), [(-0.3, 0.005), (0.0, 0.005), (0.9, 0.5)])
def test_alpha_is_clipped(asked: float, used: float) -> None:
    """An adaptive state that ran away neither opens intervals to infinity nor closes them."""
    runaway = apply_adaptive(QUANTILES, LEVELS, AdaptiveState(np.full(4, asked)))

    np.testing.assert_array_equal(runaway, apply_adaptive(QUANTILES, LEVELS, AdaptiveState(np.full(4, used))))


def test_a_state_may_differ_by_step() -> None:
    """Rows of α belong to steps."""
    alphas = np.tile(nominal_alphas(LEVELS), (30, 1))
    alphas[7, 0] = 0.01

    moved = apply_adaptive(QUANTILES, LEVELS, AdaptiveState(alphas))

    assert moved[7, 8] > QUANTILES[7, 8] * 1.3
    np.testing.assert_allclose(np.delete(moved, 7, axis=0), np.delete(QUANTILES, 7, axis=0), atol=1e-15)


def test_offsets_are_exact_at_heads_and_straight_between() -> None:
    """Offset h/100 at every head is h/100 at every step."""
    offsets = tuple((h / 100.0,) * 9 for h in HORIZONS)
    calibration = Calibration(offsets=offsets, adaptive=AdaptiveStart(alphas=(0.05, 0.1, 0.2, 0.5), step=0.01))

    np.testing.assert_allclose(calibration.step_offsets(HORIZONS)[:, 3], np.arange(1, 31) / 100.0, rtol=1e-14)


def test_adapting_is_on_only_with_figures_that_speak_for_it() -> None:
    """A bundle cannot claim what was not measured."""
    figures = AdaptiveFigures(
        n=9, pinball=0.5, adaptive_pinball=0.6, levels=(0.8,), coverage=(0.7,), adaptive_coverage=(0.8,)
    )

    assert not AdaptiveChoice(figures=figures).on
    assert AdaptiveChoice(on=True, figures=figures.model_copy(update={"adaptive_pinball": 0.5})).on
    for unspoken in (None, figures):
        with pytest.raises(ValidationError, match="without figures that speak for it"):
            AdaptiveChoice(on=True, figures=unspoken)


@pytest.mark.parametrize(("alphas", "step"), [((0.001,), 0.01), ((0.6,), 0.01), ((0.1,), 0.0), ((0.1,), 1.0)])
def test_a_start_outside_its_range_is_refused(alphas: tuple[float, ...], step: float) -> None:
    """α within [0.005, 0.5], a step within (0, 1)."""
    with pytest.raises(ValidationError):
        AdaptiveStart(alphas=alphas, step=step)
