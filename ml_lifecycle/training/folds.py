"""Folds that walk forward: what is trained, calibrated and measured on each, never on a later day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, DayArray
from ml_lifecycle.export.manifest import STEPS
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.parts import Parts, TooFewPairsError, part_dates

MEASURED_SHARE = 0.4  # of the days, the newest; the first fold learns from what comes before them
PART_SHARE = 0.06  # of the days, for early stopping and again for the offsets
FEWEST_PART_DAYS = STEPS + 10  # a part needs whole targets of the longest horizon


@dataclass(frozen=True)
class Fold:
    """Last days of training, of early stopping, of what makes the offsets, and of what is measured."""

    train_end: date
    validation_end: date
    calibration_end: date
    measured_end: date

    @property
    def parts(self) -> Parts:
        """What a training on this fold may see."""
        return Parts(self.train_end, self.validation_end, self.calibration_end)


def choosing_bars(config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, BarArrays]:
    """The bars before the configuration's test part: all that a choice between configurations may look at.

    Raises
    ------
    TooFewPairsError : the gate's days leave none.
    """
    last = part_dates(config, bars_by_ticker).calibration_end
    until = {ticker: bars.until(last) for ticker, bars in bars_by_ticker.items()}
    return {ticker: bars for ticker, bars in until.items() if len(bars)}


def walk_forward(days: DayArray, n_folds: int) -> tuple[Fold, ...]:
    """Folds whose measured spans follow each other over the newest 40 % of ``days``; each learns from all before it.

    Parameters
    ----------
    days : trading days, ascending, each once.

    Raises
    ------
    TooFewPairsError : the spans would be shorter than the longest horizon.
    """
    part = max(FEWEST_PART_DAYS, round(PART_SHARE * len(days)))
    measured = round(MEASURED_SHARE * len(days)) // n_folds
    first = len(days) - n_folds * measured
    if measured < FEWEST_PART_DAYS or first <= 3 * part:
        raise TooFewPairsError(f"{len(days)} trading days are too few for {n_folds} folds that walk forward")
    starts = first + measured * np.arange(n_folds)
    last = np.stack([starts - 2 * part, starts - part, starts, starts + measured], axis=1) - 1
    return tuple(Fold(*ends) for ends in days[last].astype("datetime64[D]").tolist())
