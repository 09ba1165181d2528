"""Networks from a configuration: an LSTM over the window, a context beside it, quantiles that cannot cross."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.models.layers import LayerConfig
from ml_lifecycle.training.config import TrainingConfig

MINIMUM_INCREMENT = 1e-3  # in scaled units; keeps the inverse of softplus finite where two quantiles coincide


@dataclass(frozen=True)
class Networks:
    """One set of weights seen twice.

    Attributes
    ----------
    served : inputs ``window (batch, lookback, n_columns)`` and ``context (batch, n_context)`` to the mean of the
        members' quantiles, ``(batch, n_horizons, n_levels)`` in scaled units.
    trained : the same inputs to each member's own quantiles: members learn apart and are averaged afterwards.
    """

    served: Any
    trained: Any


def build_network(config: TrainingConfig, unconditional: FloatArray | None = None) -> Networks:
    """Build the network of a configuration.

    Only layers that a bundle's loader allows are used, none of them with code of its own.

    Parameters
    ----------
    unconditional : shape ``(n_horizons, n_levels)``, quantiles of the target over the training part: what every
        member says before it has learnt anything. Zero medians with unit steps where omitted.
    """
    import keras

    spec = config.input_spec
    window = keras.Input((spec.lookback, len(spec.columns)), name="window")
    context = keras.Input((len(spec.context_columns),), name="context")
    start = _default_quantiles(config) if unconditional is None else unconditional
    members = [_member(config, number, window, context, start) for number in range(config.members)]
    mean = keras.layers.Average(name="members_mean")(members) if len(members) > 1 else members[0]
    inputs = {"window": window, "context": context}
    return Networks(
        served=keras.Model(inputs, mean, name="closecast"),
        trained=keras.Model(inputs, members, name="closecast_members"),
    )


def _member(config: TrainingConfig, number: int, window: Any, context: Any, start: FloatArray) -> Any:
    """One sub-network with its own seed; shape ``(batch, n_horizons, n_levels)``."""
    import keras

    prefix, body = f"member_{number}", config.body
    seeds = np.random.SeedSequence([config.seed, number]).generate_state(len(body)).tolist()
    read_out = _read_out(body)
    hidden = window
    for place, (layer, seed) in enumerate(zip(body, seeds, strict=True)):
        hidden = _layer(layer, f"{prefix}_{place}", seed, keep_sequence=place < read_out)(hidden)
        if place == read_out:
            hidden = keras.layers.Concatenate(name=f"{prefix}_context")([hidden, context])
    return _quantile_head(hidden, start, config, prefix)


def _layer(layer: LayerConfig, name: str, seed: int, *, keep_sequence: bool) -> Any:
    from keras import initializers, layers

    glorot = initializers.GlorotUniform(seed)
    match layer.type:
        case "LSTM":
            orthogonal = initializers.Orthogonal(seed=seed)
            # The cuDNN kernel has no ONNX operator; the plain one becomes ONNX's own LSTM.
            return layers.LSTM(
                layer.units,
                return_sequences=keep_sequence,
                use_cudnn=False,
                kernel_initializer=glorot,
                recurrent_initializer=orthogonal,
                name=name,
            )
        case "Dense":
            return layers.Dense(layer.units, activation=layer.activation, kernel_initializer=glorot, name=name)
        case "Dropout":
            return layers.Dropout(layer.rate, seed=seed, name=name)
        case "Flatten":
            return layers.Flatten(name=name)
        case activation:
            return layers.Activation(activation.lower(), name=name)


def _quantile_head(hidden: Any, start: FloatArray, config: TrainingConfig, prefix: str) -> Any:
    """A median and softplus steps away from it, summed up by a fixed matrix: quantiles that never cross.

    Kernels begin at zero and biases at the unconditional quantiles, so that training learns a residual only.
    """
    import keras

    shape = (len(config.horizons), len(config.levels))
    middle = config.levels.index(0.5)
    steps = np.maximum(np.diff(start, axis=1), MINIMUM_INCREMENT)
    median = keras.layers.Dense(shape[0], kernel_initializer="zeros", name=f"{prefix}_median")
    spread = keras.layers.Dense(steps.size, activation="softplus", kernel_initializer="zeros", name=f"{prefix}_spread")
    parts = keras.layers.Concatenate(name=f"{prefix}_parts")([median(hidden), spread(hidden)])
    sums = keras.layers.Dense(shape[0] * shape[1], use_bias=False, trainable=False, name=f"{prefix}_quantiles")
    quantiles = keras.layers.Reshape(shape, name=prefix)(sums(parts))
    median.bias.assign(start[:, middle])
    spread.bias.assign(np.log(np.expm1(steps)).ravel())
    sums.kernel.assign(cumulative_kernel(shape, middle))
    return quantiles


def cumulative_kernel(shape: tuple[int, int], middle: int) -> FloatArray:
    """The matrix that turns medians and steps into quantiles.

    Parameters
    ----------
    shape : ``(n_horizons, n_levels)``.
    middle : place of the median among the levels.

    Returns
    -------
    shape ``(n_horizons + n_horizons * (n_levels - 1), n_horizons * n_levels)``. Rows: medians by horizon, then the
    steps between neighbouring levels by horizon. Above the median steps are added, below it they are taken away.

    >>> cumulative_kernel((1, 3), 1).tolist()
    [[1.0, 1.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    n_horizons, n_levels = shape
    of_median = np.kron(np.eye(n_horizons), np.ones(n_levels))
    level = np.arange(n_levels)
    step = np.arange(n_levels - 1)[:, None]
    added = ((step >= middle) & (level > step)).astype(np.float64)
    taken = ((step < middle) & (level <= step)).astype(np.float64)
    return np.concatenate([of_median, np.kron(np.eye(n_horizons), added - taken)])


def _default_quantiles(config: TrainingConfig) -> FloatArray:
    levels = np.array(config.levels)
    return np.tile(4.0 * (levels - 0.5), (len(config.horizons), 1))


def _read_out(body: tuple[LayerConfig, ...]) -> int:
    """Place of the layer that ends the sequence and where the context joins: Flatten, else the last LSTM."""
    types = [layer.type for layer in body]
    return types.index("Flatten") if "Flatten" in types else len(types) - 1 - types[::-1].index("LSTM")
