"""What a run learns from the training part before any network: input and target distributions."""

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray, Windows
from data_pipeline.processing.scaler import Scaler, fit_scaler
from ml_lifecycle.monitoring.column_drift import parts_of
from ml_lifecycle.training.checkpoint import ColumnDistribution
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.pairs import PairSet, TrainingData

SAMPLE_SIZE = 4000  # windows that the scaler and the reference distribution are taken from


def sample_rows(train: PairSet) -> IntArray:
    """Cutoffs spread evenly over the training part, ``SAMPLE_SIZE`` at most."""
    places = np.linspace(0, len(train) - 1, min(SAMPLE_SIZE, len(train))).astype(np.int64)
    return train.rows[places]


def training_scaler(config: TrainingConfig, data: TrainingData) -> Scaler:
    """The scaler, fitted on windows of the training part and on nothing else."""
    sample = data.series.windows(sample_rows(data.pairs["train"]))
    return fit_scaler(config.scaler, sample.window, sample.context)


def unconditional_quantiles(train: PairSet, config: TrainingConfig) -> FloatArray:
    """Quantiles of the scaled targets, ``(n_horizons, n_levels)``: the best forecast without looking at inputs."""
    quantiles: FloatArray = np.quantile(train.targets.astype(np.float64), config.levels, axis=0).T
    return quantiles


def reference_distribution(config: TrainingConfig, sample: Windows) -> list[ColumnDistribution]:
    """Distribution of each input column at the sampled cutoffs, window columns first."""
    newest = np.concatenate([sample.window[:, -1], sample.context], axis=1)
    names = (*config.columns, *config.context_columns)
    known = np.isfinite(newest)  # a day without market inputs says nothing about their distribution
    return [_distribution(name, newest[known[:, place], place]) for place, name in enumerate(names)]


def _distribution(name: str, values: FloatArray) -> ColumnDistribution:
    edges, shares = parts_of(values)
    return ColumnDistribution(
        name=name,
        mean=float(values.mean()),
        deviation=float(values.std()),
        edges=edges.tolist(),
        shares=shares.tolist(),
    )
