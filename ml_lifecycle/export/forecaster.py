"""From bars to quantiles of log returns at every step, with whatever bundle is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import (
    InputKind,
    IntArray,
    PreparedSeries,
    UnusableBarsError,
    Windows,
    latest_window,
    prepare_series,
)
from ml_lifecycle.evaluation.baselines import naive_quantiles, naive_quantiles_at
from ml_lifecycle.evaluation.forecasters import Cutoffs
from ml_lifecycle.export.conformal import AdaptiveState, apply_adaptive
from ml_lifecycle.export.errors import WholeBarsNeededError
from ml_lifecycle.export.interpolation import interpolate_steps, median_index, probability_of_rise
from ml_lifecycle.export.long_run import with_long_run
from ml_lifecycle.export.manifest import STEPS, MarketUse
from ml_lifecycle.monitoring.drift import ColumnDrift

if TYPE_CHECKING:
    from ml_lifecycle.export.bundle import Bundle, Network

Drifts = Sequence[Sequence[ColumnDrift] | None]

BATCH = 1_024  # windows in one pass of the network; more only costs memory


@dataclass(frozen=True)
class StepQuantiles:
    """One forecast: row ``i`` is the ``i + 1``-th trading day after the cutoff.

    Attributes
    ----------
    levels : quantile levels, ascending.
    log_returns : shape ``(STEPS, n_levels)``, natural log of adjusted close over the cutoff's; never crossing.
    probability_up : shape ``(STEPS,)``, probability that the adjusted close is above the cutoff's.
    naive : shape ``(STEPS,)``, "tomorrow closes where today did" as a log return.
    drift : input columns that left the training distribution; None where the bundle knows none.
    """

    levels: tuple[float, ...]
    log_returns: FloatArray
    probability_up: FloatArray
    naive: FloatArray
    drift: Sequence[ColumnDrift] | None = None


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
        InsufficientHistoryError : fewer than ``history_needed`` bars since the last hole (``BarArrays.pieces``).
        UnusableBarsError : a price among them is missing or not positive.
        """
        return self.forecast_many([bars], adaptive=[adaptive])[0]

    def forecast_many(
        self, many_bars: Sequence[BarArrays], *, adaptive: Sequence[AdaptiveState | None] | None = None
    ) -> list[StepQuantiles]:
        """``forecast`` of each series, in one pass of the network; one bad series fails the call.

        ``adaptive`` holds the state of each series, None for those whose intervals are as calibrated at training.
        """
        if not many_bars:
            return []
        used = [self._newest(bars) for bars in many_bars]
        steps, scale, drift = self._steps(used)
        calibrated = self._calibrated(steps, scale, adaptive)
        return [self._answer(quantiles, left) for quantiles, left in zip(calibrated, drift, strict=True)]

    def forecast_closes(self, closes: FloatArray, *, adaptive: AdaptiveState | None = None) -> StepQuantiles:
        """``forecast`` from adjusted closes alone, as a client sends them: oldest first, one per trading day.

        The warm-up rule: of the newest ``history_needed`` closes the first serves only for the return to the second; a
        network of the packaged ``closes`` configuration reads 59 returns, hence 60 closes. Earlier ones change nothing.

        Raises
        ------
        WholeBarsNeededError : the bundle reads more than closes.
        InsufficientHistoryError : fewer than ``history_needed``.
        UnusableBarsError : one of them is missing or not positive.
        """
        if self.bundle.manifest.input_kind is not InputKind.CLOSES:
            raise WholeBarsNeededError
        used = np.asarray(closes, dtype=np.float64)[-self.history_used :]
        if not (np.isfinite(used) & (used > 0.0)).all():
            raise UnusableBarsError("a close is missing or not positive")
        return self.forecast(BarArrays.of_closes(used), adaptive=adaptive)

    def market_inputs(self, bars: BarArrays) -> MarketUse:
        """What ``forecast`` of these bars reads of their market."""
        spec = self.bundle.manifest.input_spec
        if spec is None or not spec.market_bars:
            return MarketUse.NOT_USED
        newest = bars.last(spec.market_bars)
        known = np.isfinite(newest.market_return) & np.isfinite(newest.market_absolute_return)
        return MarketUse.USED if known.all() else MarketUse.FALLBACK

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """Log-return quantiles at many cutoffs of each ticker, whose input columns are computed once.

        The answers are those of ``forecast`` to 1e-9: a column started earlier differs in its last bits.

        Parameters
        ----------
        cutoffs : bars without a hole (``BarArrays.pieces``), which ``forecast`` would cut at.
        horizons : the steps wanted, 1 to ``STEPS``.

        Returns
        -------
        per entry of ``cutoffs``, shape ``(n_ends, n_horizons, n_levels)``.
        """
        rows = [horizon - 1 for horizon in horizons]
        return [self._at_ends(entry)[:, rows] for entry in cutoffs]

    def _at_ends(self, entry: Cutoffs) -> FloatArray:
        if len(entry.ends) and entry.ends.min() + 1 < self.history_needed:
            raise InsufficientHistoryError(needed=self.history_needed, found=int(entry.ends.min()) + 1)
        network = self.bundle.network
        if network is None:
            steps = naive_quantiles_at(entry.bars.adj_close, entry.ends, range(1, STEPS + 1), self.levels)
            return self._calibrated(steps, np.ones(len(entry.ends)))
        series = prepare_series(entry.bars, network.spec)
        parts = np.split(entry.ends, range(BATCH, len(entry.ends), BATCH))
        return np.concatenate([self._at_some_ends(series, entry.bars, ends, network) for ends in parts])

    def _at_some_ends(self, series: PreparedSeries, bars: BarArrays, ends: IntArray, network: "Network") -> FloatArray:
        windows = series.windows(ends)
        heads = self._with_long_run(self._heads(windows, network), bars, ends)
        return self._calibrated(self._every_step(heads), windows.scale)

    def _newest(self, bars: BarArrays) -> BarArrays:
        whole = bars.after_last_hole()
        if len(whole) < self.history_needed:
            raise InsufficientHistoryError(needed=self.history_needed, found=len(whole))
        newest = whole.last(self.history_used)
        if not (np.isfinite(newest.adj_close) & (newest.adj_close > 0.0)).all():
            raise UnusableBarsError(f"an adjusted close before {bars.cutoff} is missing or not positive")
        return newest

    def _steps(self, used: list[BarArrays]) -> tuple[FloatArray, FloatArray, Drifts]:
        """Quantiles ``(batch, STEPS, n_levels)`` as log returns, the volatility scale ``(batch,)``, and each drift.

        The naive quantiles of past log returns carry their scale already.
        """
        network = self.bundle.network
        if network is None:
            steps = np.stack([naive_quantiles(bars, self.levels) for bars in used])
            return steps, np.ones(len(used)), [None] * len(used)
        window, context, scale = zip(*(latest_window(bars, network.spec) for bars in used), strict=True)
        windows = Windows(np.stack(window), np.stack(context), np.array(scale))
        drift: Drifts = [None] * len(used)
        if network.drift is not None:
            drift = network.drift.left_many(windows.window, windows.context)
        heads = self._heads(windows, network)
        own = zip(heads, used, strict=True)
        averaged = [self._with_long_run(each[None], bars, np.array([len(bars) - 1])) for each, bars in own]
        return self._every_step(np.concatenate(averaged)), windows.scale, drift

    def _heads(self, windows: Windows, network: "Network") -> FloatArray:
        """The network's quantiles as log returns, shape ``(batch, n_horizons, n_levels)``."""
        scaled = network.engine.quantiles(*network.scaler.apply(windows.window, windows.context))
        return scaled * windows.scale[:, None, None] * np.sqrt(self.bundle.manifest.horizons)[:, None]

    def _with_long_run(self, heads: FloatArray, bars: BarArrays, ends: IntArray) -> FloatArray:
        manifest = self.bundle.manifest
        horizons, shares = manifest.horizons, manifest.long_run_shares
        return with_long_run(heads, bars.adj_close, ends, horizons=horizons, levels=self.levels, shares=shares)

    def _every_step(self, heads: FloatArray) -> FloatArray:
        return interpolate_steps(heads, self.bundle.manifest.horizons, median=median_index(self.levels))

    def _calibrated(
        self, steps: FloatArray, scale: FloatArray, adaptive: Sequence[AdaptiveState | None] | None = None
    ) -> FloatArray:
        """Static offsets, then the adaptive states; shape ``(batch, STEPS, n_levels)`` throughout, never crossing."""
        root_h = np.sqrt(np.arange(1, STEPS + 1))[:, None]
        steps = np.sort(steps + self._offsets * root_h * scale[:, None, None], axis=-1)
        if adaptive is None:
            return steps
        return np.stack([apply_adaptive(each, self.levels, one) for each, one in zip(steps, adaptive, strict=True)])

    def _answer(self, quantiles: FloatArray, drift: Sequence[ColumnDrift] | None) -> StepQuantiles:
        if not np.isfinite(quantiles).all():
            raise UnusableBarsError("the bars give no finite forecast")
        return StepQuantiles(
            levels=self.levels,
            log_returns=quantiles,
            probability_up=probability_of_rise(quantiles, self.levels),
            naive=np.zeros(STEPS),
            drift=drift,
        )
