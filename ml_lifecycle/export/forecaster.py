"""From bars to quantiles of log returns at every step, with whatever bundle is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from ml_lifecycle.evaluation.baselines import naive_quantiles
from ml_lifecycle.export.conformal import AdaptiveState, apply_adaptive
from ml_lifecycle.export.errors import NonFiniteForecastError
from ml_lifecycle.export.interpolation import probability_of_rise
from ml_lifecycle.export.manifest import STEPS

if TYPE_CHECKING:
    from ml_lifecycle.export.bundle import Bundle


@dataclass(frozen=True)
class StepQuantiles:
    """One forecast: row ``i`` is the ``i + 1``-th trading day after the cutoff.

    Attributes
    ----------
    levels : quantile levels, ascending.
    log_returns : shape ``(STEPS, n_levels)``, natural log of adjusted close over the cutoff's; never crossing.
    probability_up : shape ``(STEPS,)``, probability that the adjusted close is above the cutoff's.
    naive : shape ``(STEPS,)``, "tomorrow closes where today did" as a log return.
    """

    levels: tuple[float, ...]
    log_returns: FloatArray
    probability_up: FloatArray
    naive: FloatArray


class BundleForecaster:
    """Forecasts of one loaded bundle; holds no state between calls and may be shared by threads."""

    def __init__(self, bundle: "Bundle") -> None:
        self.bundle = bundle
        self.history_needed = bundle.manifest.history_needed
        self.history_used = bundle.manifest.history_used
        self.levels = bundle.manifest.quantile_levels

    def forecast(self, bars: BarArrays, *, adaptive: AdaptiveState | None = None) -> StepQuantiles:
        """Quantiles for the ``STEPS`` trading days after the last bar; only the last ``history_used`` bars count.

        Raises
        ------
        InsufficientHistoryError : fewer than ``history_needed`` bars.
        NonFiniteForecastError : a price among them is missing or not positive.
        """
        return self.forecast_many([bars], adaptive=adaptive)[0]

    def forecast_many(
        self, many_bars: Sequence[BarArrays], *, adaptive: AdaptiveState | None = None
    ) -> list[StepQuantiles]:
        """``forecast`` of each series, in one pass of the network; one bad series fails the call."""
        if not many_bars:
            return []
        used = [self._newest(bars) for bars in many_bars]
        quantiles = self._calibrated(np.stack([naive_quantiles(bars, self.levels) for bars in used]), adaptive)
        return [self._answer(steps) for steps in quantiles]

    def _newest(self, bars: BarArrays) -> BarArrays:
        if len(bars) < self.history_needed:
            raise InsufficientHistoryError(needed=self.history_needed, found=len(bars))
        return bars.last(self.history_used)

    def _calibrated(self, steps: FloatArray, adaptive: AdaptiveState | None) -> FloatArray:
        """Static offsets, then the adaptive state, then no crossing; shape ``(batch, STEPS, n_levels)`` throughout."""
        root_h = np.sqrt(np.arange(1, STEPS + 1))[:, None]
        offsets = self.bundle.calibration.step_offsets(self.bundle.manifest.horizons)
        steps = np.sort(steps + offsets * root_h, axis=-1)
        return np.sort(apply_adaptive(steps, self.levels, adaptive), axis=-1)

    def _answer(self, steps: FloatArray) -> StepQuantiles:
        if not np.isfinite(steps).all():
            raise NonFiniteForecastError("a price in the window is missing or not positive")
        return StepQuantiles(
            levels=self.levels,
            log_returns=steps,
            probability_up=probability_of_rise(steps, self.levels),
            naive=np.zeros(STEPS),
        )
