"""Tunings that take no time: a "network" whose answers follow from its configuration, and small panels."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.forecasters import Cutoffs
from ml_lifecycle.export.manifest import LEVELS
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.search_space import SearchSpace
from ml_lifecycle.training.tune import Work
from ml_lifecycle.training.tune_spec import TuneSpec
from tests.made_up_bars import bars_of_closes

VERSION = DataVersion(table_id="made-up", version=1, content_sha256="0" * 64)
SPACE = SearchSpace(base="demo", parameters={"learning_rate": [0.001, 0.002, 0.003], "hidden_size": [8, 16]})


@dataclass(frozen=True)
class Guess:
    """The naive, its quantiles times ``width``; ``shift`` moves them."""

    width: float
    shift: float = 0.0

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """See ``BatchForecaster``."""
        return [
            self.shift + self.width * naive_quantiles_at(each.bars.adj_close, each.ends, horizons, LEVELS)
            for each in cutoffs
        ]


@dataclass(frozen=True)
class Widths:
    """Trains nothing: the learning rate is the width, in thousandths of 1.

    Attributes
    ----------
    log : a line for each training.
    die_after : trainings, after which this process is killed like a machine kills.
    """

    log: Path | None = None
    die_after: int | None = None
    trained: list[int] = field(default_factory=list)

    def __call__(self, config: TrainingConfig, _bars: Mapping[str, BarArrays], parts: Parts) -> Guess:
        """See ``trial.Train``."""
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{config.learning_rate} {config.hidden_size} {parts.train_end}\n")
        self.trained.append(1)
        if self.die_after is not None and len(self.trained) > self.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return Guess(width=1000.0 * config.learning_rate)


def random_walks(n_bars: int = 900, *, seed: int = 0, n_tickers: int = 2) -> dict[str, BarArrays]:
    """Closes that nobody can foretell, with volatility that never changes."""
    rng = np.random.default_rng(seed)
    closes = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (n_tickers, n_bars)), axis=1))
    return {f"T{number}": bars_of_closes(each) for number, each in enumerate(closes)}


def make_work(folder: Path, train: Any, bars: Mapping[str, BarArrays] | None = None, **told: Any) -> Work:
    """A tuning of ``SPACE`` whose trials lie in ``folder``."""
    spec = TuneSpec(**{"space": SPACE, "folds": 2, **told})
    return Work.of(spec, bars or random_walks(), str(folder / "study.journal"), gate_days=100, train=train)
