"""Between heads bands widen as a random walk's do; at heads nothing changes; beyond them nothing is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml_lifecycle.export.interpolation import interpolate_linearly, interpolate_steps, probability_of_rise
from ml_lifecycle.export.manifest import HORIZONS, LEVELS

HEADS = st.shared(
    arrays(np.float64, (8, 9), elements=st.floats(-0.5, 0.5, allow_subnormal=False)).map(lambda a: np.sort(a, axis=-1))
)


def test_variance_grows_linearly_between_two_heads() -> None:
    """Deviation 1 at day 1 and 3 at day 5: squares 1, 3, 5, 7, 9; the lower side mirrors, twice as wide."""
    heads = np.array([[-2.0, 0.0, 1.0], [-6.0, 0.0, 3.0]])

    steps = interpolate_steps(heads, horizons=(1, 5), median=1)

    np.testing.assert_allclose(steps[:, 2], np.sqrt([1.0, 3.0, 5.0, 7.0, 9.0]), rtol=1e-15)
    np.testing.assert_allclose(steps[:, 0], -2.0 * np.sqrt([1.0, 3.0, 5.0, 7.0, 9.0]), rtol=1e-15)


def test_median_runs_straight_and_bands_hang_on_it() -> None:
    """Median 0.1 at day 1 and 0.4 at day 4; a band of constant width stays so."""
    heads = np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]])

    steps = interpolate_steps(heads, horizons=(1, 4), median=1)

    np.testing.assert_allclose(steps[:, 1], [0.1, 0.2, 0.3, 0.4], rtol=1e-15)
    np.testing.assert_allclose(steps[:, 2] - steps[:, 1], 0.1, rtol=1e-12)


def test_random_walk_known_at_the_heads_is_known_everywhere() -> None:
    """Quantiles proportional to the root of h come out so at all 30 steps."""
    z = np.array([-1.96, -1.64, -1.28, -0.67, 0.0, 0.67, 1.28, 1.64, 1.96])
    every_step = 0.02 * np.sqrt(np.arange(1, 31))[:, None] * z

    steps = interpolate_steps(every_step[np.array(HORIZONS) - 1], HORIZONS, median=4)

    np.testing.assert_allclose(steps, every_step, rtol=1e-13)


@given(HEADS)
def test_heads_come_back_bit_for_bit(heads: np.ndarray) -> None:
    """Whatever the network said at its own horizons is what is served there."""
    rows = np.array(HORIZONS) - 1

    np.testing.assert_array_equal(interpolate_steps(heads, HORIZONS, median=4)[rows], heads)
    np.testing.assert_array_equal(interpolate_linearly(heads, HORIZONS)[rows], heads)


@given(HEADS)
def test_quantiles_that_do_not_cross_at_heads_do_not_cross_between(heads: np.ndarray) -> None:
    """The order of squared deviations is kept by a straight line between them."""
    steps = interpolate_steps(heads, HORIZONS, median=4)

    assert steps.shape == (30, 9)
    assert (np.diff(steps, axis=-1) >= -1e-15).all()


def test_batches_are_interpolated_row_by_row() -> None:
    """Leading axes pass through."""
    heads = np.sort(np.random.default_rng(3).normal(size=(4, 8, 9)), axis=-1)

    together = interpolate_steps(heads, HORIZONS, median=4)

    for one, row in zip(heads, together, strict=True):
        np.testing.assert_array_equal(interpolate_steps(one, HORIZONS, median=4), row)


@pytest.mark.parametrize(
    ("quantiles", "probability"),
    [
        ([-0.03, -0.01, 0.03], 1 - (0.5 + 0.4 * 0.25)),  # zero lies a quarter of the way from the median to 90 %
        ([-0.01, 0.01, 0.02], 1 - (0.1 + 0.4 * 0.5)),
        ([0.01, 0.02, 0.03], 0.9),  # wholly above zero: no more than the outermost level is claimed
        ([-0.03, -0.02, -0.01], 0.1),
        ([-0.02, 0.0, 0.01], 0.5),
        ([0.0, 0.0, 0.0], 0.5),  # a share that never moves
        ([0.0, 0.0, 0.01], 1 - 0.3),  # the middle of the tied levels 0.1 and 0.5
        ([0.0, 0.01, 0.02], 0.9),
    ],
)
def test_probability_of_a_rise_is_read_at_zero(quantiles: list[float], probability: float) -> None:
    """Linear between two quantiles, silent beyond the outermost."""
    rise = probability_of_rise(np.array([quantiles]), [0.1, 0.5, 0.9])

    np.testing.assert_allclose(rise, [probability], rtol=1e-12)


@given(HEADS)
def test_probability_stays_within_the_outermost_levels(heads: np.ndarray) -> None:
    """Never 0, never 1: the forecast does not know the tails."""
    rise = probability_of_rise(heads, LEVELS)

    assert ((rise >= LEVELS[0] - 1e-12) & (rise <= LEVELS[-1] + 1e-12)).all()
