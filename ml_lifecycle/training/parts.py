"""Which cutoff belongs to which part: training, validation, calibration, test, in this order of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.training.config import TrainingConfig

PART_NAMES = ("train", "validation", "calibration")


class TooFewPairsError(ClosecastError):
    """A part of the data holds no pair of window and target: collect more bars, or move the dates."""


@dataclass(frozen=True)
class Parts:
    """The last day of each part; the test part begins after ``calibration_end``."""

    train_end: date
    validation_end: date
    calibration_end: date

    def __str__(self) -> str:
        return f"to {self.train_end}, to {self.validation_end}, to {self.calibration_end}"


def part_dates(config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays]) -> Parts:
    """The dates of the configuration, or its shares of the trading days that the tickers have between them.

    Where the shares would leave fewer than ``gate_days`` after the calibration part, all three parts shrink alike.

    Raises
    ------
    TooFewPairsError : there are no more days than the gate wants.
    """
    if config.train_end and config.validation_end and config.calibration_end:
        return Parts(config.train_end, config.validation_end, config.calibration_end)
    days = known_days(bars_by_ticker)
    shares = np.cumsum([config.train_share, config.validation_share, config.calibration_share])
    if len(days) <= config.gate_days:
        raise TooFewPairsError(
            f"these bars have {len(days)} trading days, and the newest {config.gate_days} are left to the gate"
        )
    kept = min(len(days), (len(days) - config.gate_days) / shares[-1])
    last_days: list[date] = days[np.maximum((shares * kept).astype(np.int64) - 1, 0)].tolist()
    return Parts(*last_days)


def known_days(bars_by_ticker: Mapping[str, BarArrays]) -> DayArray:
    """The trading days that the tickers have between them, ascending."""
    return np.unique(np.concatenate([bars.trading_day.astype("datetime64[D]") for bars in bars_by_ticker.values()]))


def split_ends(ends: IntArray, trading_day: DayArray, parts: Parts, *, longest: int) -> dict[str, IntArray]:
    """Rows of cutoffs by part; a pair belongs to a part only when its window's cutoff and whole target lie inside.

    Pairs whose target reaches over the end of their part are dropped (purged): their outcome is the next part's news.

    Parameters
    ----------
    ends : rows that can be cutoffs.
    longest : longest horizon, in bars.
    """
    days = trading_day.astype("datetime64[D]")
    complete = ends[ends + longest < len(days)]
    cutoff, target = days[complete], days[complete + longest]

    def between(after: date | None, last: date | None) -> IntArray:
        begun = np.ones(len(complete), dtype=np.bool_) if after is None else cutoff > np.datetime64(after, "D")
        return complete[begun & (target <= np.datetime64(last, "D"))]

    bounds = (None, parts.train_end, parts.validation_end, parts.calibration_end)
    return {name: between(*bound) for name, bound in zip(PART_NAMES, pairwise(bounds), strict=True)}
