"""Corrections that make intervals cover what they promise: one fixed at calibration, one that follows the errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from pydantic import FiniteFloat, model_validator

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.export.interpolation import interpolate_linearly, median_index
from ml_lifecycle.export.manifest import Manifest, ManifestPart

ALPHA_RANGE = (0.005, 0.5)
ADAPTIVE_STEP = 0.005  # about 200 days to learn a new level of risk


class AdaptiveStart(ManifestPart):
    """Where adaptive calibration begins: one α per interval, widest first, and the step it learns by."""

    alphas: tuple[FiniteFloat, ...]
    step: FiniteFloat

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        if not all(ALPHA_RANGE[0] <= alpha <= ALPHA_RANGE[1] for alpha in self.alphas):
            raise ValueError(f"every alpha lies within {ALPHA_RANGE}")
        if not 0.0 < self.step < 1.0:
            raise ValueError("the step lies within (0, 1)")
        return self


class AdaptiveFigures(ManifestPart):
    """What adaptive calibration did on the newer half of the calibration part, both halves unseen by the network.

    Attributes
    ----------
    levels : promised by the intervals, widest first; the coverages stand in the same order.
    n : forecasts compared.
    pinball, adaptive_pinball : mean loss with the fixed offsets alone, and with the adaptive state after them; log
        returns in units of ``scale * sqrt(h)``.
    """

    n: int
    pinball: FiniteFloat
    adaptive_pinball: FiniteFloat
    levels: tuple[FiniteFloat, ...]
    coverage: tuple[FiniteFloat, ...]
    adaptive_coverage: tuple[FiniteFloat, ...]


class AdaptiveChoice(ManifestPart):
    """Whether an ``AdaptiveState`` is to follow the errors: off unless ``figures`` say that it did no harm.

    ``figures`` are None where nothing could be measured.
    """

    on: bool = False
    figures: AdaptiveFigures | None = None

    @model_validator(mode="after")
    def _on_where_measured(self) -> Self:
        if self.on and (self.figures is None or self.figures.adaptive_pinball > self.figures.pinball):
            raise ValueError("adaptive calibration is on without figures that speak for it")
        return self


class Calibration(ManifestPart):
    """``calibration.json``.

    Attributes
    ----------
    offsets : shape ``(n_horizons, n_levels)``, added to the quantiles; in scaled units (log return / (scale · √h)).
    """

    offsets: tuple[tuple[FiniteFloat, ...], ...]
    adaptive: AdaptiveStart
    adaptive_choice: AdaptiveChoice = AdaptiveChoice()

    def require_shape(self, manifest: Manifest) -> None:
        """Raise ``ValueError`` unless there is one row per horizon, one column per level, one α per interval."""
        wanted = (len(manifest.horizons), len(manifest.quantile_levels))
        if np.shape(self.offsets) != wanted:
            raise ValueError(f"offsets have shape {np.shape(self.offsets)}, not {wanted}")
        if len(self.adaptive.alphas) != len(manifest.quantile_levels) // 2:
            raise ValueError("one alpha per interval wanted")

    def step_offsets(self, horizons: tuple[int, ...]) -> FloatArray:
        """Offsets at every step, linear in ``h`` between heads; shape ``(n_steps, n_levels)``."""
        return interpolate_linearly(np.array(self.offsets, dtype=np.float64), horizons)


@dataclass(frozen=True)
class AdaptiveState:
    """The α in use now: share of outcomes meant to fall outside each interval.

    ``alphas`` has shape ``(n_intervals,)`` or ``(n_steps, n_intervals)``, widest interval first.
    """

    alphas: FloatArray

    def after(self, missed: FloatArray, promised: Sequence[float], step: float) -> "AdaptiveState":
        """The state once outcomes are known: α grows by ``step * (promised - missed)``, within ``ALPHA_RANGE``.

        Adaptive conformal inference, Gibbs and Candès 2021, equation (2).

        Parameters
        ----------
        missed : shape of ``alphas``; 1 where the outcome fell outside the interval as it was served, 0 where inside,
            NaN where it is not known: that α stays.
        promised : shape ``(n_intervals,)``, as ``nominal_alphas`` gives them.
        """
        moved = self.alphas + step * (np.asarray(promised) - missed)
        return AdaptiveState(np.where(np.isnan(missed), self.alphas, np.clip(moved, *ALPHA_RANGE)))


def missed_intervals(quantiles: FloatArray, actual: FloatArray) -> FloatArray:
    """1 where the outcome lies outside a central interval, else 0; NaN where either is unknown.

    Parameters
    ----------
    quantiles : shape ``(..., n_levels)``, symmetric levels; ``actual`` has shape ``(...)``.

    Returns
    -------
    shape ``(..., n_intervals)``, widest first.

    >>> missed_intervals(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array(1.5)).tolist()
    [0.0, 1.0]
    """
    middle = quantiles.shape[-1] // 2
    lower, upper, came = quantiles[..., :middle], quantiles[..., :middle:-1], actual[..., None]
    outside = (came < lower) | (came > upper)
    missed: FloatArray = np.where(np.isnan(came + lower + upper), np.nan, outside)
    return missed


def nominal_alphas(levels: tuple[float, ...]) -> tuple[float, ...]:
    """α of each central interval, widest first: 0.05, 0.1, 0.2, 0.5 for the usual levels."""
    return tuple(round(2.0 * level, 12) for level in levels[: median_index(levels)])


def apply_adaptive(quantiles: FloatArray, levels: tuple[float, ...], state: AdaptiveState | None) -> FloatArray:
    """Read each interval's ends at the levels that its current α asks for; unchanged without a state.

    Between levels a quantile is linear in the normal score of its level. Beyond the outermost level the distance from
    the median grows as a normal distribution's would: the forecast itself says nothing there. What comes out does not
    cross, however the α of neighbouring intervals have moved.

    Parameters
    ----------
    quantiles : shape ``(..., n_steps, n_levels)``, not crossing.
    levels : symmetric around the median, ascending.
    state : its α are clipped to ``ALPHA_RANGE``.
    """
    if state is None:
        return quantiles
    middle = median_index(levels)
    alphas = np.broadcast_to(np.clip(state.alphas, *ALPHA_RANGE), (*quantiles.shape[:-1], middle))
    lower = _read_at(quantiles, levels, alphas / 2.0)
    upper = _read_at(quantiles, levels, 1.0 - alphas / 2.0)
    ends = [lower, quantiles[..., middle : middle + 1], upper[..., ::-1]]
    return np.sort(np.concatenate(ends, axis=-1), axis=-1)


def _read_at(quantiles: FloatArray, levels: tuple[float, ...], wanted: FloatArray) -> FloatArray:
    scores = _normal_scores(np.asarray(levels))
    at = _normal_scores(wanted)
    right = np.clip(np.searchsorted(scores, at), 1, len(levels) - 1)
    low = np.take_along_axis(quantiles, right - 1, axis=-1)
    high = np.take_along_axis(quantiles, right, axis=-1)
    weight = np.clip((at - scores[right - 1]) / (scores[right] - scores[right - 1]), 0.0, 1.0)
    inside = low * (1.0 - weight) + high * weight
    median = quantiles[..., median_index(levels)][..., None]
    beyond: FloatArray = median + (inside - median) * np.maximum(np.abs(at) / scores[-1], 1.0)
    return beyond


def _normal_scores(levels: FloatArray) -> FloatArray:
    scores: FloatArray = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])(levels)
    return scores
