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
from data_pipeline.processing.lstm_preprocessor import IntArray
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
    """The stream of daily errors, each the sum over all tickers relative to the naive forecast's.

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


def error_drift(days: DayArray, relative: FloatArray) -> ErrorDrift:
    """Changes that ADWIN (Bifet and Gavaldà, SDM 2007) finds in the daily errors of one bundle.

    A single ticker's ratio would have no mean where it hardly moved. ADWIN says that the level has changed; from when
    on is the day that parts the days since the last change best.
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


def coverage_drift(held: IntArray, forecasts: IntArray, levels: Sequence[float]) -> list[CoverageDrift]:
    """Each interval's coverage over the newest ``COVERAGE_DAYS`` days, tested against its promise.

    Tickers move together and days follow each other, so a day is one observation; the variance is at least the
    binomial's. Fewer than ``FEWEST_DAYS`` days say nothing: an empty list.

    Parameters
    ----------
    held : outcomes inside each interval by day, oldest first, shape ``(n_days, n_levels)``.
    forecasts : scored on each day, at least 1, shape ``(n_days,)``.
    """
    held, forecasts = held[-COVERAGE_DAYS:], forecasts[-COVERAGE_DAYS:]
    if len(forecasts) < FEWEST_DAYS:
        return []
    n, coverage = int(forecasts.sum()), held.sum(axis=0) / forecasts.sum()
    promised = np.array(levels)
    variance = np.maximum(long_run_variance((held - coverage * forecasts[:, None]) / n), promised * (1 - promised) / n)
    p_values = 2.0 * stats.norm.sf(np.abs(coverage - promised) / np.sqrt(variance))
    return [
        CoverageDrift(level, n, len(forecasts), share, p_value, _coverage_severity(level - share, p_value, len(levels)))
        for level, share, p_value in zip(levels, coverage.tolist(), p_values.tolist(), strict=True)
    ]


def _error_severity(changes: Sequence[ErrorChange]) -> Severity:
    if not changes or changes[-1].after <= changes[-1].before:
        return "none"
    return "far" if changes[-1].after > 1.0 else "moved"


def _coverage_severity(short: float, p_value: float, n_levels: int) -> Severity:
    if p_value >= COVERAGE_CHANCE / n_levels or abs(short) < MOVED_COVERAGE:
        return "none"
    return "far" if short > FAR_COVERAGE else "moved"
