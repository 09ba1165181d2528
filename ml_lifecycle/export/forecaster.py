"""From bars to quantiles of log returns at every step, with whatever bundle is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import UnusableBarsError, latest_window
from ml_lifecycle.evaluation.baselines import naive_quantiles
from ml_lifecycle.export.conformal import AdaptiveState, apply_adaptive
from ml_lifecycle.export.interpolation import interpolate_steps, median_index, probability_of_rise
from ml_lifecycle.export.manifest import STEPS

if TYPE_CHECKING:
    from ml_lifecycle.export.bundle import Bundle, Network


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
        self._offsets = bundle.calibration.step_offsets(bundle.manifest.horizons)

    def forecast(self, bars: BarArrays, *, adaptive: AdaptiveState | None = None) -> StepQuantiles:
        """Quantiles for the ``STEPS`` trading days after the last bar; only the last ``history_used`` bars count.

        Parameters
        ----------
        adaptive : the α in use now; without it intervals are as calibrated at training.

        Raises
        ------
        InsufficientHistoryError : fewer than ``history_needed`` bars.
        UnusableBarsError : a price among them is missing or not positive.
        """
        return self.forecast_many([bars], adaptive=adaptive)[0]

    def forecast_many(
        self, many_bars: Sequence[BarArrays], *, adaptive: AdaptiveState | None = None
    ) -> list[StepQuantiles]:
        """``forecast`` of each series, in one pass of the network; one bad series fails the call."""
        if not many_bars:
            return []
        used = [self._newest(bars) for bars in many_bars]
        network = self.bundle.network
        steps, scale = self._naive_steps(used) if network is None else self._network_steps(used, network)
        return [self._answer(quantiles) for quantiles in self._calibrated(steps, scale, adaptive)]

    def _newest(self, bars: BarArrays) -> BarArrays:
        if len(bars) < self.history_needed:
            raise InsufficientHistoryError(needed=self.history_needed, found=len(bars))
        newest = bars.last(self.history_used)
        if not (np.isfinite(newest.adj_close) & (newest.adj_close > 0.0)).all():
            raise UnusableBarsError(f"an adjusted close before {bars.cutoff} is missing or not positive")
        return newest

    def _naive_steps(self, used: list[BarArrays]) -> tuple[FloatArray, FloatArray]:
        """Quantiles ``(batch, STEPS, n_levels)`` of past log returns; they carry their scale already."""
        return np.stack([naive_quantiles(bars, self.levels) for bars in used]), np.ones(len(used))

    def _network_steps(self, used: list[BarArrays], network: "Network") -> tuple[FloatArray, FloatArray]:
        """Quantiles ``(batch, STEPS, n_levels)`` as log returns, and the volatility scale ``(batch,)``."""
        inputs = [latest_window(bars, network.spec) for bars in used]
        window, context = (np.stack(arrays) for arrays in list(zip(*inputs, strict=True))[:2])
        scale = np.array([scale for *_, scale in inputs])
        scaled = network.engine.quantiles(*network.scaler.apply(window, context))
        horizons = self.bundle.manifest.horizons
        heads = scaled * scale[:, None, None] * np.sqrt(horizons)[:, None]
        return interpolate_steps(heads, horizons, median=median_index(self.levels)), scale

    def _calibrated(self, steps: FloatArray, scale: FloatArray, adaptive: AdaptiveState | None) -> FloatArray:
        """Static offsets, then the adaptive state, then no crossing; shape ``(batch, STEPS, n_levels)`` throughout."""
        root_h = np.sqrt(np.arange(1, STEPS + 1))[:, None]
        steps = np.sort(steps + self._offsets * root_h * scale[:, None, None], axis=-1)
        return np.sort(apply_adaptive(steps, self.levels, adaptive), axis=-1)

    def _answer(self, quantiles: FloatArray) -> StepQuantiles:
        if not np.isfinite(quantiles).all():
            raise UnusableBarsError("the bars give no finite forecast")
        return StepQuantiles(
            levels=self.levels,
            log_returns=quantiles,
            probability_up=probability_of_rise(quantiles, self.levels),
            naive=np.zeros(STEPS),
        )
