"""Whether an interval holds as often as it promises: a binomial test that knows that forecasts are not independent."""

import math
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.significance import known_mean
from ml_lifecycle.evaluation.skill_label import MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS

SIGNIFICANCE = 0.01  # two-sided; a promise is called broken below it


@dataclass(frozen=True)
class CoverageTest:
    """Outcome of the test at one level.

    Attributes
    ----------
    level : promised.
    coverage : share of outcomes inside.
    n_effective : independent forecasts that would know the share as well.
    p : two-sided, of a coverage as far from the promise; None where there are too few days to tell.
    """

    level: float
    coverage: float
    n_effective: int
    p: float | None

    @property
    def rejected(self) -> bool | None:
        """Whether the promise is broken; None where there are too few days to tell."""
        return None if self.p is None else self.p < SIGNIFICANCE


def coverage_test(inside: FloatArray, n: FloatArray, level: float, *, overlap: int) -> CoverageTest:
    """Test one interval's promise by its outcomes.

    Forecasts of one day move together, and outcomes over several days overlap: as many independent forecasts are
    counted as would have the same variance (Kish 1965, the design effect), and these are held against the binomial
    distribution.

    Parameters
    ----------
    inside, n : outcomes inside the interval and in all, by day, shape ``(n_days,)``.
    overlap : consecutive days that share outcomes.
    """
    coverage = float(inside.sum() / n.sum())
    n_effective = _effective(inside - coverage * n, n, level, overlap)
    if len(n) < max(MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS * overlap):
        return CoverageTest(level, coverage, n_effective, None)
    return CoverageTest(level, coverage, n_effective, binomial_p(round(coverage * n_effective), n_effective, level))


def _effective(excess: FloatArray, n: FloatArray, level: float, overlap: int) -> int:
    """Independent trials with the variance that the share has, at least one per span, at most all of them."""
    spans, trials = max(1, len(n) // overlap), int(n.sum())
    error = known_mean(excess / n.mean(), overlap=overlap).standard_error
    if error is None:  # every day the same share: of the days nothing more is known than that they are days
        return min(spans, trials)
    return int(np.clip(level * (1.0 - level) / error**2, min(spans, trials), trials))


def binomial_p(successes: int, trials: int, probability: float) -> float:
    """Two-sided p: twice the smaller tail, at most 1.

    >>> round(binomial_p(3, 10, 0.5), 6)
    0.34375
    """
    counts = np.arange(trials + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    log_ways = log_factorials[-1] - log_factorials - log_factorials[::-1]
    masses = np.exp(log_ways + counts * math.log(probability) + (trials - counts) * math.log1p(-probability))
    return float(min(1.0, 2.0 * min(masses[: successes + 1].sum(), masses[successes:].sum())))
