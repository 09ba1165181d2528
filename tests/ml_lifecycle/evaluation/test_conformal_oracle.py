"""Our conformal calibration beside MAPIE's: the same numbers where the definitions are the same.

They differ, on purpose, in three things. Where the calibration part is too small for a level, MAPIE refuses and we take
the largest score. An adaptive α moves within [0, 1] there, within [0.005, 0.5] here. And at a moved α MAPIE reads an
interval off the residuals of a calibration part, we off the forecast's own quantiles, which follow the market.
"""

from typing import Self

import numpy as np
import pytest
from mapie.regression import ConformalizedQuantileRegressor, TimeSeriesRegressor
from sklearn.base import BaseEstimator, RegressorMixin

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.calibration import conformal_offsets
from ml_lifecycle.export.conformal import ALPHA_RANGE, AdaptiveState, missed_intervals, nominal_alphas
from ml_lifecycle.export.manifest import LEVELS

N_HORIZONS = 3


class Column(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted regressor that foretells one column of its input."""

    is_fitted = True  # what MAPIE looks for

    def __init__(self, place: int) -> None:
        self.place = place

    def fit(self, _: FloatArray, __: FloatArray) -> Self:
        return self

    def predict(self, values: FloatArray) -> FloatArray:
        chosen: FloatArray = values[:, self.place]
        return chosen

    def __sklearn_is_fitted__(self) -> bool:
        return self.is_fitted


def forecasts(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Skewed outcomes and quantiles that are too narrow at some horizons and too wide at others."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 2.0, (n, N_HORIZONS, 1))
    ends = np.sort(np.abs(rng.standard_normal((n, N_HORIZONS, 4))), axis=-1)[..., ::-1] * spread
    quantiles = np.concatenate([-ends, np.zeros((n, N_HORIZONS, 1)), ends[..., ::-1]], axis=-1)
    actual = rng.standard_gamma(2.0, (n, N_HORIZONS)) * [0.3, 1.0, 3.0] - [0.6, 2.0, 6.0]
    return actual, quantiles


@pytest.mark.parametrize("n", [39, 40, 57, 199, 200, 251])
def test_offsets_are_those_of_conformalised_quantile_regression(n: int) -> None:
    """At every horizon and interval, to 1e-12; from 39 outcomes on, the fewest that 95 % can be promised with."""
    actual, quantiles = forecasts(n, seed=n)
    median, last = len(LEVELS) // 2, len(LEVELS) - 1

    ours = quantiles + conformal_offsets(actual, quantiles, LEVELS)

    for horizon in range(N_HORIZONS):
        rows = quantiles[:, horizon]
        for lower in range(median):
            upper = last - lower
            theirs = ConformalizedQuantileRegressor(
                [Column(lower), Column(upper), Column(median)],
                confidence_level=round(LEVELS[upper] - LEVELS[lower], 12),
                prefit=True,
            ).conformalize(rows, actual[:, horizon])
            middle, ends = theirs.predict_interval(rows, symmetric_correction=True)
            np.testing.assert_allclose(ours[:, horizon, [lower, upper]], ends[:, :, 0], rtol=0.0, atol=1e-12)
            np.testing.assert_array_equal(ours[:, horizon, median], middle)


def test_alpha_moves_as_in_mapies_adaptive_inference() -> None:
    """From MAPIE's own hits and misses our update gives its α after each outcome, to 1e-12."""
    rng = np.random.default_rng(7)
    promised, gamma = np.array(nominal_alphas(LEVELS)), 0.005
    calibration = rng.standard_normal(400)
    theirs = TimeSeriesRegressor(Column(0), method="aci", cv="prefit")
    theirs.fit(np.zeros((400, 1)), calibration)
    state = AdaptiveState(promised)

    path = []
    for came in 1.05 * rng.standard_normal(120):
        inputs = np.zeros((1, 1))
        _, ends = theirs.predict(inputs, confidence_level=1.0 - promised, allow_infinite_bounds=True)
        quantiles = np.concatenate([ends[0, 0], [0.0], ends[0, 1, ::-1]])
        state = state.after(missed_intervals(quantiles, np.array(came)), nominal_alphas(LEVELS), gamma)
        theirs.adapt_conformal_inference(inputs, np.array([came]), gamma=gamma, confidence_level=1.0 - promised)
        path.append((state.alphas, [theirs.current_alpha[alpha] for alpha in theirs.current_alpha]))

    ours, mapies = (np.array(each) for each in zip(*path, strict=True))
    free = np.all((mapies > ALPHA_RANGE[0]) & (mapies < ALPHA_RANGE[1]), axis=0).tolist()
    assert free[:3] == [True, True, True]
    assert len(np.unique(mapies[:, 1])) > 20
    np.testing.assert_allclose(ours[:, free], mapies[:, free], rtol=0.0, atol=1e-12)
