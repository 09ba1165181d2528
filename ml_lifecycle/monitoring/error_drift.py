"""Whether a bundle's live errors, or the coverage of its live intervals, are no longer what they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from river.drift import ADWIN
from scipy import stats

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.monitoring.dependent_days import long_run_variance

Severity = Literal["none", "moved", "far"]

ADWIN_DELTA = 0.002  # ADWIN's confidence: the share of false changes that it allows itself
FEWEST_DAYS = 20  # scored days; fewer say nothing
COVERAGE_DAYS = 60  # the newest scored days
COVERAGE_CHANCE = 0.01  # that any level of sound intervals counts as moved
MOVED_COVERAGE, FAR_COVERAGE = 0.03, 0.05  # less than promised by so much; more than promised never is ``far``


@dataclass(frozen=True)
class ErrorChange:
    """From ``day`` on, about, the level of the relative error was another: its mean before and since."""

    day: date
    before: float
    after: float


@dataclass(frozen=True)
class ErrorDrift:
    """The stream of daily errors, each relative to the naive forecast's.

    Attributes
    ----------
    relative : mean since the newest change; None where no day is scored.
    changes : oldest first.
    """

    n_days: int
    relative: float | None
    changes: tuple[ErrorChange, ...]
    severity: Severity


@dataclass(frozen=True)
class CoverageDrift:
    """Coverage of one interval over the newest scored days, beside its promise."""

    level: float
    n: int
    n_days: int
    coverage: float
    p_value: float
    severity: Severity


def daily_relative_errors(days: DayArray, errors: FloatArray, naive: FloatArray) -> tuple[DayArray, FloatArray]:
    """Sum of absolute errors over the naive's, by day, oldest first; days on which the naive made none are left out.

    Over all tickers of a day together: a single ticker's ratio has no mean where it hardly moved.

    >>> days = np.array(["2013-03-04", "2013-03-04", "2013-03-01"], dtype="datetime64[D]")
    >>> daily_relative_errors(days, np.array([1.0, 2.0, 1.0]), np.array([2.0, 2.0, 1.0]))[1].tolist()
    [1.0, 0.75]
    """
    different, place = np.unique(days, return_inverse=True)
    ours, theirs = (np.bincount(place, weights=values, minlength=len(different)) for values in (errors, naive))
    kept = theirs > 0.0
    return different[kept], ours[kept] / theirs[kept]


def error_drift(days: DayArray, relative: FloatArray) -> ErrorDrift:
    """Changes that ADWIN (Bifet and Gavaldà, SDM 2007) finds in the daily errors of one bundle.

    ADWIN says that the level has changed; from when on is the day that parts the days since the last change best.
    ``far``: the newest change went up, and since then the naive forecast has been better.
    """
    detector: Any = ADWIN(delta=ADWIN_DELTA, clock=1)  # type: ignore[no-untyped-call]  # river leaves it untyped
    firsts = [0]
    for place, value in enumerate((relative / _spread(relative)).tolist()):
        detector.update(value)
        if detector.drift_detected:
            firsts.append(firsts[-1] + _best_parting(relative[firsts[-1] : place + 1]))
    levels = [float(relative[first:end].mean()) for first, end in pairwise([*firsts, len(relative)]) if first < end]
    changes = tuple(
        ErrorChange(days[first].item(), before, after)
        for first, (before, after) in zip(firsts[1:], pairwise(levels), strict=True)
    )
    return ErrorDrift(len(relative), levels[-1] if levels else None, changes, _error_severity(changes))


def _best_parting(values: FloatArray) -> int:
    """Where to part values so that the two means explain most of their variance; both parts have one at least."""
    n, firsts = len(values), np.arange(1, len(values))
    before = np.cumsum(values)[:-1] / firsts
    after = (values.sum() - np.cumsum(values)[:-1]) / (n - firsts)
    return int(firsts[np.argmax(firsts * (n - firsts) * (before - after) ** 2)])


def _spread(relative: FloatArray) -> float:
    """Standard deviation about a level that may change: from the differences of successive days.

    ADWIN's bound is made for values whose spread is about 1.
    """
    if len(relative) < FEWEST_DAYS:
        return 1.0
    spread = 1.4826 * float(np.median(np.abs(np.diff(relative)))) / np.sqrt(2.0)
    return spread if spread > 0.0 else 1.0


def coverage_drift(days: DayArray, inside: FloatArray, levels: Sequence[float]) -> list[CoverageDrift]:
    """Each interval's coverage over the newest ``COVERAGE_DAYS`` days, tested against its promise.

    Tickers move together and days follow each other, so a day is one observation; the variance is at least the
    binomial's. Fewer than ``FEWEST_DAYS`` days say nothing: an empty list.

    Parameters
    ----------
    days : shape ``(n,)``; inside : 1 where the outcome lay inside, shape ``(n, n_levels)``.
    """
    different = np.unique(days)[-COVERAGE_DAYS:]
    if len(different) < FEWEST_DAYS:
        return []
    recent = days >= different[0]
    place = np.searchsorted(different, days[recent])
    per_day = np.bincount(place, minlength=len(different))
    found = []
    for column, level in enumerate(levels):
        held = np.bincount(place, weights=inside[recent, column], minlength=len(different))
        coverage = float(held.sum() / per_day.sum())
        off = (held - coverage * per_day)[:, None] / per_day.sum()
        least = level * (1.0 - level) / per_day.sum()
        variance = max(float(long_run_variance(off)[0]), least)
        p_value = float(2.0 * stats.norm.sf(abs(coverage - level) / np.sqrt(variance)))
        severity = _coverage_severity(level - coverage, proven=p_value < COVERAGE_CHANCE / len(levels))
        found.append(CoverageDrift(level, int(per_day.sum()), len(different), coverage, p_value, severity))
    return found


def _error_severity(changes: Sequence[ErrorChange]) -> Severity:
    if not changes or changes[-1].after <= changes[-1].before:
        return "none"
    return "far" if changes[-1].after > 1.0 else "moved"


def _coverage_severity(short: float, *, proven: bool) -> Severity:
    if not proven or abs(short) < MOVED_COVERAGE:
        return "none"
    return "far" if short > FAR_COVERAGE else "moved"
