"""Figures of scored forecasts at one horizon, out of their sums by day; pure functions of arrays."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.evaluation.significance import known_mean, overlapping_cutoffs
from ml_lifecycle.evaluation.skill_label import MINIMUM_INDEPENDENT_SPANS, Skill, skill_label
from ml_lifecycle.evaluation.student_t import student_t_critical
from ml_lifecycle.monitoring.coverage_test import CoverageTest, coverage_test

TAIL = 0.025  # on either side of the interval of the relative error


@dataclass(frozen=True)
class DaySums:
    """Sums over the forecasts of one kind and bundle at one step, by the day of their outcome.

    Attributes
    ----------
    days : ascending, shape ``(n_days,)``; all others have this shape too, but ``inside``.
    n, voids : scored forecasts, and those whose bar never came.
    compared : of which the naive's quantiles are known; ``compared_pinball, naive_pinball`` are of these.
    directions, direction_hits : of which neither return nor median is 0, and those that foretold the sign.
    inside : by ``INTERVALS``, shape ``(n_days, 4)``.
    """

    days: DayArray
    n: FloatArray
    voids: FloatArray
    absolute_error: FloatArray
    naive_absolute_error: FloatArray
    compared: FloatArray
    compared_pinball: FloatArray
    naive_pinball: FloatArray
    directions: FloatArray
    direction_hits: FloatArray
    inside: FloatArray

    def after(self, day: np.datetime64) -> Self:
        """The days later than ``day``."""
        later = self.days > day
        return replace(self, **{name: values[later] for name, values in vars(self).items()})


@dataclass(frozen=True)
class LiveFigures:
    """What forecasts were worth at one horizon.

    Attributes
    ----------
    forecasts, scored, voids : resolved forecasts, and of those the ones with an outcome and without.
    relative_mae : mean absolute error of the median over the naive's, with its 95 % interval; below 1 is better.
    skill : label, gain in pinball loss and its 98 % interval, as `skill_label` tells them.
    coverage : tested at each of the levels that the bundle has.
    directional_accuracy : share of returns whose sign was foretold, of ``directions`` that count.
    """

    forecasts: int
    scored: int
    voids: int
    relative_mae: float | None
    relative_mae_interval: tuple[float, float] | None
    skill: Skill
    coverage: tuple[CoverageTest, ...]
    directional_accuracy: float | None
    directions: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def live_figures(sums: DaySums, *, horizon: int, levels: Sequence[float], source: str) -> LiveFigures:
    """Figures at one horizon.

    Parameters
    ----------
    levels : of the forecasts' quantiles.
    source : told in ``skill``.
    """
    scored = sums.n > 0
    days, n = sums.days[scored], sums.n[scored]
    overlap = overlapping_cutoffs(days, horizon)
    relative_mae, interval = _relative_mae(sums.absolute_error[scored], sums.naive_absolute_error[scored], overlap)
    coverage = tuple(
        coverage_test(sums.inside[scored, place], n, level, overlap=overlap)
        for place, level in enumerate(INTERVALS)
        if len(n) and interval_places(levels, level)
    )
    directions = int(sums.directions.sum())
    return LiveFigures(
        forecasts=int(sums.n.sum() + sums.voids.sum()),
        scored=int(n.sum()),
        voids=int(sums.voids.sum()),
        relative_mae=relative_mae,
        relative_mae_interval=interval,
        skill=_skill(sums, horizon, relative_mae, source),
        coverage=coverage,
        directional_accuracy=float(sums.direction_hits.sum() / directions) if directions else None,
        directions=directions,
    )


def _relative_mae(
    errors: FloatArray, naive_errors: FloatArray, overlap: int
) -> tuple[float | None, tuple[float, float] | None]:
    """Ratio of the sums, and its 95 % interval by the ratio estimator's variance (Cochran 1977, section 6.3)."""
    if not len(errors) or naive_errors.sum() <= 0.0:
        return None, None
    ratio = float(errors.sum() / naive_errors.sum())
    mean = known_mean((errors - ratio * naive_errors) / naive_errors.mean(), overlap=overlap)
    if len(errors) < MINIMUM_INDEPENDENT_SPANS * overlap or mean.standard_error is None:
        return ratio, None
    half_width = mean.standard_error * student_t_critical(TAIL, mean.degrees_of_freedom)
    return ratio, (ratio - half_width, ratio + half_width)


def _skill(sums: DaySums, horizon: int, relative_mae: float | None, source: str) -> Skill:
    """`skill_label` reads daily means only, so these stand for the single forecasts; ``n`` counts the latter."""
    compared = sums.compared > 0
    count = sums.compared[compared]
    skill = skill_label(
        sums.compared_pinball[compared] / count,
        sums.naive_pinball[compared] / count,
        sums.days[compared],
        horizon=horizon,
        relative_mae=relative_mae,
        source=source,
    )
    return replace(skill, n=int(count.sum()))
