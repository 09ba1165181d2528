"""Adaptive conformal calibration along the past, as serving would have moved its intervals, and what it gains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.calibration import believed_offsets, conformal_offsets
from ml_lifecycle.export.conformal import (
    ADAPTIVE_STEP,
    ALPHA_RANGE,
    AdaptiveChoice,
    AdaptiveFigures,
    AdaptiveState,
    apply_adaptive,
    missed_intervals,
    nominal_alphas,
)


@dataclass(frozen=True)
class Adapted:
    """Forecasts of one series after adaptive calibration.

    Attributes
    ----------
    quantiles : shape ``(n, n_horizons, n_levels)``.
    alphas : in use at each cutoff, shape ``(n, n_horizons, n_intervals)``, widest interval first.
    """

    quantiles: FloatArray
    alphas: FloatArray


@dataclass(frozen=True)
class Past:
    """Forecasts of one series at past cutoffs, in time order, and what came.

    Attributes
    ----------
    days : of the cutoffs, shape ``(n,)``.
    bars : their places among the series' bars, ascending, shape ``(n,)``; an outcome at horizon ``h`` is known from bar
        ``bars + h`` on.
    quantiles : shape ``(n, n_horizons, n_levels)``, not crossing.
    actual : shape ``(n, n_horizons)``; NaN where the bar is yet to come.
    """

    days: DayArray
    bars: IntArray
    quantiles: FloatArray
    actual: FloatArray

    def __len__(self) -> int:
        return len(self.bars)

    def moved(self, offsets: FloatArray) -> Self:
        """The same with ``offsets (n_horizons, n_levels)`` added, as serving adds them."""
        return replace(self, quantiles=np.sort(self.quantiles + offsets, axis=-1))

    def known_before(self, day: np.datetime64, horizons: Sequence[int]) -> FloatArray:
        """``actual``, NaN where the outcome is not final before the first cutoff from ``day`` on; all where none is."""
        first = int(np.searchsorted(self.days, day))
        until = self.bars[first] if first < len(self) else 0
        return np.where(self.bars[:, None] + np.asarray(horizons) < until, self.actual, np.nan)


def adaptive_along(
    past: Past, levels: tuple[float, ...], horizons: Sequence[int], *, step: float = ADAPTIVE_STEP
) -> Adapted:
    """Move each interval by the errors known so far (adaptive conformal inference, Gibbs and Candès 2021).

    Each horizon and interval has an α of its own, which begins where the interval means what it says. At a cutoff it
    has seen the outcomes that are final by then and no later one, each judged by the interval that was in use when its
    forecast was made.

    Parameters
    ----------
    levels : ascending, symmetric around the median; the narrowest interval promises at least one half.
    step : how far one outcome moves α.

    Raises
    ------
    ConfigurationError : the levels are not symmetric, or an interval promises less than one half: its α would lie
        beyond ``ALPHA_RANGE``.
    """
    if not np.allclose(np.add(levels, levels[::-1]), 1.0, rtol=0.0, atol=1e-12):
        raise ConfigurationError("no adaptive calibration of levels that are not symmetric around the median")
    promised = nominal_alphas(levels)
    if max(promised) > ALPHA_RANGE[1]:
        raise ConfigurationError(
            f"no adaptive calibration of intervals that promise less than {1 - ALPHA_RANGE[1]:.0%}"
        )
    known = np.stack([np.searchsorted(past.bars + h, past.bars, side="right") for h in horizons], axis=1)
    state = AdaptiveState(np.tile(promised, (len(horizons), 1)))
    quantiles = np.empty_like(past.quantiles)
    alphas = np.empty((*past.actual.shape, len(promised)))
    missed = np.empty_like(alphas)
    learnt = np.zeros(len(horizons), dtype=np.int64)  # outcomes of each horizon that the state has seen
    for cutoff in range(len(past)):
        while (due := learnt < known[cutoff]).any():
            news = np.where(due[:, None], missed[learnt, np.arange(len(horizons))], np.nan)
            state, learnt = state.after(news, promised, step), learnt + due
        alphas[cutoff] = state.alphas
        quantiles[cutoff] = apply_adaptive(past.quantiles[cutoff], levels, state)
        missed[cutoff] = missed_intervals(quantiles[cutoff], past.actual[cutoff])
    return Adapted(quantiles, alphas)


def choose_adaptive(
    series: Sequence[Past], levels: tuple[float, ...], horizons: Sequence[int], *, step: float = ADAPTIVE_STEP
) -> AdaptiveChoice:
    """On only where adapting does not worsen the mean pinball loss; off without figures where nothing can be measured.

    The fixed offsets come from the older half of the days, the losses from the newer one, and no outcome of the older
    half reaches into the newer: neither way has seen what it is judged by.

    Parameters
    ----------
    series : each ticker's forecasts on the calibration part before any offset, scaled units.
    """
    every_day = np.unique(np.concatenate([np.empty(0, "datetime64[D]"), *(past.days for past in series)]))
    if not len(every_day):
        return AdaptiveChoice()
    middle = every_day[len(every_day) // 2]
    older = np.concatenate([past.known_before(middle, horizons) for past in series])
    offsets = believed_offsets(
        conformal_offsets(older, np.concatenate([past.quantiles for past in series]), levels),
        horizons,
        n_days=int(np.sum(every_day < middle)),
    )
    fixed = [past.moved(offsets) for past in series]
    adapted = [adaptive_along(past, levels, horizons, step=step).quantiles for past in fixed]
    newer = [past.days >= middle for past in series]
    actual = np.concatenate([past.actual[late] for past, late in zip(fixed, newer, strict=True)])
    if not np.isfinite(older).any() or not np.isfinite(actual).any():
        return AdaptiveChoice()
    figures = _figures(
        actual,
        np.concatenate([past.quantiles[late] for past, late in zip(fixed, newer, strict=True)]),
        np.concatenate([quantiles[late] for quantiles, late in zip(adapted, newer, strict=True)]),
        levels,
    )
    return AdaptiveChoice(on=figures.adaptive_pinball <= figures.pinball, figures=figures)


def _figures(actual: FloatArray, fixed: FloatArray, adapted: FloatArray, levels: tuple[float, ...]) -> AdaptiveFigures:
    known = np.isfinite(actual)
    came, ways = actual[known], (fixed[known], adapted[known])
    pinball = [float(np.mean(metrics.pinball_losses(came, quantiles, levels))) for quantiles in ways]
    covered = [1.0 - missed_intervals(quantiles, came).mean(axis=0) for quantiles in ways]
    return AdaptiveFigures(
        n=len(came),
        pinball=pinball[0],
        adaptive_pinball=pinball[1],
        levels=tuple(round(1.0 - alpha, 12) for alpha in nominal_alphas(levels)),
        coverage=tuple(covered[0].tolist()),
        adaptive_coverage=tuple(covered[1].tolist()),
    )
