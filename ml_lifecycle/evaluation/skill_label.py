"""Whether a forecaster may be called better than the naive, or only luckier."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation.significance import daily_means, known_mean, overlapping_cutoffs

MINIMUM_DAYS = 60  # cutoff days; with fewer nothing can be told
MINIMUM_INDEPENDENT_SPANS = 10  # ... and they must span so many horizons, since overlapping targets say the same thing


class Label(StrEnum):
    """What the figures allow to be said."""

    BETTER = "better"
    NOT_DISTINGUISHABLE = "not_distinguishable_from_naive"
    WORSE = "worse"
    NOT_YET_MEASURED = "not_yet_measured"


@dataclass(frozen=True)
class Skill:
    """Skill at one horizon.

    Attributes
    ----------
    source : ``live``, ``backtest`` or ``none``.
    n, n_days : forecasts, and cutoff days among them.
    relative_mae : mean absolute error of the median over the naive's; below 1 is better.
    pinball_skill : gain in mean pinball loss over the naive's quantiles, as a fraction of theirs.
    interval : of ``pinball_skill``, 98 %; None where nothing can be told.
    """

    label: Label
    source: str
    n: int
    n_days: int
    relative_mae: float | None
    pinball_skill: float | None
    interval: tuple[float, float] | None

    def to_dict(self) -> Mapping[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def skill_label(
    losses: FloatArray,
    naive_losses: FloatArray,
    days: DayArray,
    *,
    horizon: int,
    relative_mae: float | None = None,
    source: str = "backtest",
) -> Skill:
    """Compare pinball losses with the naive's on the same forecasts: the label is read off the mean gain's interval.

    Parameters
    ----------
    losses, naive_losses : shape ``(n,)``.
    days : cutoff of each forecast, shape ``(n,)``.
    horizon : trading days ahead; neighbouring cutoffs share outcomes over so many days.
    """
    gains = daily_means(naive_losses - losses, days)
    n, n_days = len(losses), len(gains)
    naive_mean = float(np.mean(daily_means(naive_losses, days))) if n else 0.0
    overlap = overlapping_cutoffs(days, horizon)
    if n_days < max(MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS * overlap) or naive_mean <= 0.0:
        return Skill(Label.NOT_YET_MEASURED, source, n, n_days, relative_mae, None, None)
    gain = known_mean(gains, overlap=overlap)
    half_width = gain.half_width or 0.0  # gains that never vary
    interval = ((gain.value - half_width) / naive_mean, (gain.value + half_width) / naive_mean)
    label = Label.NOT_DISTINGUISHABLE
    if half_width > 0.0 and interval[0] > 0.0:
        label = Label.BETTER
    elif half_width > 0.0 and interval[1] < 0.0:
        label = Label.WORSE
    return Skill(label, source, n, n_days, relative_mae, gain.value / naive_mean, interval)
