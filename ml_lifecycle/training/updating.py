"""Updating: the champion's own training once more, on bars that have come since, begun with its weights.

Unlike fine-tuning (``fine_tuning``), the days move on: each part ends later, by the shares of the configuration, and
calibration and scores are of days that the former network has not seen.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.fine_tuning import Parent
from ml_lifecycle.training.parts import part_dates
from ml_lifecycle.training.train import train


class NothingNewerError(ClosecastError):
    """The stored bars end too early for anything to be learnt since: collect newer ones, then update again."""


def update(
    parent: Parent, config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays], *, out_dir: Path, **further: Any
) -> Checkpoint:
    """Train from ``parent``'s weights on all that is stored of its tickers.

    Parameters
    ----------
    config : ``updated_config(parent, …)``.
    further : as ``train.train`` has it.

    Raises
    ------
    NothingNewerError : the calibration part would end no later than the parent's.
    """
    ends = part_dates(config, bars_by_ticker).calibration_end
    if ends <= parent.calibration_end:
        raise NothingNewerError(
            f"by the stored bars calibration would end on {ends}, and that of bundle {parent.bundle_id[:12]} ended on "
            f"{parent.calibration_end}: there is nothing newer to learn from"
        )
    return train(config, bars_by_ticker, out_dir=out_dir, parent=parent, **further)


def updated_config(parent: Parent, *, gate_days: int, period: str | None = None) -> TrainingConfig:
    """The parent's configuration with its days cut anew, so that the gate has ``gate_days`` to judge on.

    Parameters
    ----------
    gate_days : the parent's own number does not count: it may have been trained for other ends, or before the setting
        was changed, and no update of it could ever pass.
    period : see ``TrainingConfig.train_period``.
    """
    anew = dict.fromkeys(("fine_tune", "train_end", "validation_end", "calibration_end"))
    return parent.config.model_copy(update={**anew, "gate_days": gate_days, "train_period": period})
