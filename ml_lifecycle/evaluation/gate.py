"""Whether a challenger replaces the champion: one test on days that neither has seen, and what that test spends.

Pure functions on arrays; ``gate_evidence`` makes the arrays, docs/promotion.md tells the rule to people.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.evaluation.significance import known_mean, overlapping_cutoffs, relative_gains

GATE_HORIZONS = (1, 5, 21)  # a day, a week, a month: steps between them repeat these, and cost power
MINIMUM_DAYS = 120
YEARLY_ALPHA = 0.05  # what all challenges of one champion may spend within any 365 days
COVERAGE_TOLERANCE = 0.05  # one year of one market misses by 2 to 4 points though the intervals be right
MEDIAN_TOLERANCE = 0.005
MEDIAN_ALPHA = 0.05


class Reason(StrEnum):
    """Why a challenger did not pass."""

    TOO_FEW_DAYS = "too_few_days"
    GAIN_NOT_PROVEN = "gain_not_proven"
    MEDIAN_WORSE = "median_worse"
    COVERAGE_OFF = "coverage_off"
    LOOK_AHEAD = "look_ahead"
    BUNDLE_REFUSED = "bundle_refused"  # its golden window is not answered as it was, or a digest differs
    CHAMPION_CHANGED = "champion_changed"  # while the challenge was being judged: ask again
    NOT_JUDGED = "not_judged"  # no bars, or the store is away


@dataclass(frozen=True)
class Evidence:
    """What both bundles said, and what came: one entry per ticker and cutoff whose outcomes at all horizons are known.

    Attributes
    ----------
    horizons, levels : those of the arrays below; the levels are those that both bundles have.
    ticker, cutoff : shape ``(n,)``.
    actual : log returns, shape ``(n, n_horizons)``.
    challenger, champion, reference : quantiles of log returns, shape ``(n, n_horizons, n_levels)``.
    """

    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    ticker: NDArray[np.str_]
    cutoff: DayArray
    actual: FloatArray
    challenger: FloatArray
    champion: FloatArray
    reference: FloatArray


@dataclass(frozen=True)
class Side:
    """One bundle's figures at one horizon; losses and errors in log returns, coverage by central interval."""

    pinball: float
    median_error: float
    coverage: dict[str, float]


@dataclass(frozen=True)
class HorizonFigures:
    """Both bundles at one horizon, and the reference beside them."""

    horizon: int
    challenger: Side
    champion: Side
    reference: Side


@dataclass(frozen=True)
class GateTest:
    """The figures that a challenge is decided on.

    Attributes
    ----------
    number : which challenge of this champion within a year; ``alpha`` is what it may spend.
    gain : mean gain in pinball loss, as a share of the champion's, over the horizons; ``p_value`` is that of no gain.
    median_ratio : the challenger's mean absolute error of the median over the champion's, over the horizons;
        ``median_p_value`` is that of an error not greater.
    coverage_error : distance of the coverage from each central interval's promise, averaged over the horizons.
    """

    number: int
    alpha: float
    gain: float
    statistic: float | None
    degrees_of_freedom: float
    p_value: float
    median_ratio: float
    median_p_value: float
    coverage_error: dict[str, float]
    champion_coverage_error: dict[str, float]
    horizons: tuple[HorizonFigures, ...]

    def reasons(self) -> Iterator[Reason]:
        """What speaks against the challenger."""
        if self.p_value > self.alpha:
            yield Reason.GAIN_NOT_PROVEN
        if self.median_ratio > 1.0 + MEDIAN_TOLERANCE or self.median_p_value < MEDIAN_ALPHA:
            yield Reason.MEDIAN_WORSE
        if any(
            error > max(COVERAGE_TOLERANCE, self.champion_coverage_error[level])
            for level, error in self.coverage_error.items()
        ):
            yield Reason.COVERAGE_OFF


@dataclass(frozen=True)
class GateVerdict:
    """What the gate decided, and on what.

    Attributes
    ----------
    test : None where nothing was tested, so that nothing of alpha is spent.
    refusal : why the challenger was not even judged, ``detail`` in words.
    """

    n_days: int = 0
    n_tickers: int = 0
    first_day: date | None = None
    last_day: date | None = None
    look_ahead_faults: tuple[str, ...] = ()
    test: GateTest | None = None
    refusal: Reason | None = None
    detail: str | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why not; empty where it passed."""
        if self.refusal is not None:
            return (self.refusal,)
        tested = (Reason.TOO_FEW_DAYS,) if self.test is None else tuple(self.test.reasons())
        return (*tested, Reason.LOOK_AHEAD) if self.look_ahead_faults else tested

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes champion."""
        return not self.reasons

    def as_test(self, number: int) -> "GateVerdict":
        """The same figures, held against what the ``number``-th challenge within a year may spend."""
        if self.test is None:
            return self
        return replace(self, test=replace(self.test, number=number, alpha=alpha_of(number)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        decided = {"passed": self.passed, "reasons": self.reasons, **asdict(self)}
        plain: dict[str, Any] = json.loads(json.dumps(decided, default=date.isoformat))
        return plain


def alpha_of(test_number: int) -> float:
    """What the ``test_number``-th challenge of one champion may spend: the sum over all of them stays below 5 %.

    >>> [round(alpha_of(number), 4) for number in (1, 2, 3)]
    [0.025, 0.0083, 0.0042]
    """
    return YEARLY_ALPHA / (test_number * (test_number + 1))


def judge(evidence: Evidence, *, test_number: int = 1, look_ahead_faults: Sequence[str] = ()) -> GateVerdict:
    """Hold a challenger against the champion.

    Parameters
    ----------
    evidence : cutoffs later than the calibration of both.
    test_number : 1 for the first challenge of this champion within 365 days.
    look_ahead_faults : what the look-ahead check found about the challenger.
    """
    days: list[date] = np.unique(evidence.cutoff.astype("datetime64[D]")).tolist()
    return GateVerdict(
        n_days=len(days),
        n_tickers=len(np.unique(evidence.ticker)),
        first_day=min(days, default=None),
        last_day=max(days, default=None),
        look_ahead_faults=tuple(look_ahead_faults),
        test=_test(evidence, test_number) if len(days) >= MINIMUM_DAYS else None,
    )


def _test(evidence: Evidence, number: int) -> GateTest:
    overlap = overlapping_cutoffs(evidence.cutoff, max(evidence.horizons))
    sides = (evidence.challenger, evidence.champion, evidence.reference)
    losses, errors = [_losses(evidence, side) for side in sides], [_median_errors(evidence, side) for side in sides]
    gain = known_mean(relative_gains(losses[0], losses[1], evidence.cutoff), overlap=overlap)
    growth = known_mean(-relative_gains(errors[0], errors[1], evidence.cutoff), overlap=overlap)
    coverage = [_coverage(evidence, side) for side in sides]
    figures = [_side_figures(*each) for each in zip(losses, errors, coverage, strict=True)]
    return GateTest(
        number=number,
        alpha=alpha_of(number),
        gain=gain.value,
        statistic=gain.statistic,
        degrees_of_freedom=gain.degrees_of_freedom,
        p_value=gain.p_not_above_zero,
        median_ratio=1.0 + growth.value,
        median_p_value=growth.p_not_above_zero,
        coverage_error=_coverage_error(coverage[0]),
        champion_coverage_error=_coverage_error(coverage[1]),
        horizons=tuple(map(HorizonFigures, evidence.horizons, *figures)),
    )


def _losses(evidence: Evidence, quantiles: FloatArray) -> FloatArray:
    """Pinball loss of each forecast, averaged over the levels, shape ``(n, n_horizons)``."""
    flat = quantiles.reshape(-1, len(evidence.levels))
    return metrics.pinball_losses(evidence.actual.ravel(), flat, evidence.levels).reshape(evidence.actual.shape)


def _median_errors(evidence: Evidence, quantiles: FloatArray) -> FloatArray:
    """Distance of the outcome from the median, shape ``(n, n_horizons)``."""
    errors: FloatArray = np.abs(evidence.actual - quantiles[:, :, evidence.levels.index(0.5)])
    return errors


def _coverage(evidence: Evidence, quantiles: FloatArray) -> dict[float, FloatArray]:
    """Share of outcomes inside each central interval, shape ``(n_horizons,)``, by the interval's promise."""
    return {
        level: metrics.inside(evidence.actual, quantiles[:, :, places[0]], quantiles[:, :, places[1]]).mean(axis=0)
        for level in INTERVALS
        if (places := interval_places(evidence.levels, level))
    }


def _coverage_error(coverage: Mapping[float, FloatArray]) -> dict[str, float]:
    """Mean over the horizons, so that errors cannot cancel; the worst one is luck at 21 days, where a year has 11."""
    return {str(level): float(np.mean(np.abs(shares - level))) for level, shares in coverage.items()}


def _side_figures(losses: FloatArray, errors: FloatArray, coverage: Mapping[float, FloatArray]) -> list[Side]:
    """One bundle's figures, by horizon."""
    return [
        Side(
            pinball=float(losses[:, place].mean()),
            median_error=float(errors[:, place].mean()),
            coverage={str(level): float(shares[place]) for level, shares in coverage.items()},
        )
        for place in range(losses.shape[1])
    ]
