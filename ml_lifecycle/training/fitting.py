"""The training loop: batches of mixed tickers, a look at the validation part every few, the best weights kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.scaler import Float32Array, Scaler
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.models.lstm_model import Networks
from ml_lifecycle.training.checkpoint import Round
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.pairs import TrainingData, network_inputs
from ml_lifecycle.training.resume_state import Run, UnfinishedRun


@dataclass(frozen=True)
class Progress:
    """How far a run is; ``total`` is the most batches there can be, early stopping may end it before.

    ``epoch`` counts from 1: the one that the newest batch was of, of at most ``epochs``. ``train_loss`` is the mean
    since the look before; None where there was no batch yet.
    """

    epoch: int
    epochs: int
    batches: int
    total: int
    train_loss: float | None
    validation_loss: float
    best_loss: float
    windows_per_second: float


@dataclass(frozen=True)
class Fitted:
    """The outcome of the loop: the networks hold the weights of ``best_round``."""

    history: tuple[Round, ...]
    best_round: int
    windows_per_second: float | None


def pinball(levels: tuple[float, ...], actual: Any, quantiles: Any) -> Any:
    """Mean pinball loss per pair: ``actual (batch, n_horizons, 1)``, ``quantiles (batch, n_horizons, n_levels)``."""
    miss = actual - quantiles
    level = keras.ops.convert_to_tensor(levels, dtype=quantiles.dtype)
    return keras.ops.mean(keras.ops.maximum(level * miss, (level - 1.0) * miss), axis=(1, 2))


def compile_for_training(trained: Any, config: TrainingConfig, *, jit_compile: bool | str = "auto") -> None:
    """Give the network of all members its loss and its optimiser.

    On TensorFlow "auto" does not compile an LSTM's graph further, and XLA was no faster (``benchmarks/training``).
    """
    optimizer = keras.optimizers.AdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        clipnorm=1.0,
        use_ema=config.weight_average > 0.0,
        ema_momentum=config.weight_average,
    )
    # Decay would pull the unconditional quantiles, which live in the biases, towards zero.
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    losses = [partial(pinball, config.levels)] * config.members
    trained.compile(optimizer=optimizer, loss=losses, jit_compile=jit_compile)
    optimizer.build(trained.trainable_variables)


def fit(
    config: TrainingConfig,
    networks: Networks,
    data: TrainingData,
    scaler: Scaler,
    *,
    run: Run | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Fitted:
    """Train until the validation loss has not improved for ``config.patience`` looks, or the epochs are over.

    The untrained network takes part as round 0: where nothing can be learnt, it is kept.

    Parameters
    ----------
    run : where to keep the state of the unfinished run; without it a killed run is lost.
    """
    loop = _Loop(config, networks, data, scaler)
    unfinished = run.unfinished() if run else None
    if unfinished:
        loop.restore(unfinished)
    else:
        loop.look(train_loss=None)
    saved_at = time.monotonic()
    while not loop.finished:
        loop.train_round()
        if progress:
            progress(loop.progress())
        if run and time.monotonic() - saved_at >= run.save_every_seconds:
            loop.state(run.digest).write(run.folder)
            saved_at = time.monotonic()
    networks.trained.set_weights(loop.best)
    return Fitted(tuple(loop.history), loop.best_round, loop.windows_per_second)


class _Loop:
    """State of one run between two rounds."""

    def __init__(self, config: TrainingConfig, networks: Networks, data: TrainingData, scaler: Scaler) -> None:
        self.config, self.networks, self.data, self.scaler = config, networks, data, scaler
        self.train, self.validation = data.pairs["train"], data.pairs["validation"]
        self.history: list[Round] = []
        self.best: list[Any] = []
        self.best_round = 0
        self.seconds, self.windows_seen = 0.0, 0
        compile_for_training(networks.trained, config)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches only, since TensorFlow traces each shape anew; each epoch leaves out other pairs."""
        return max(1, len(self.train) // self.config.batch_size)

    @property
    def look_every(self) -> int:
        """Batches between two looks: as configured, but a small universe is looked at twice an epoch at least."""
        return max(1, min(self.config.validate_every, self.batches_per_epoch // 2))

    @property
    def total_batches(self) -> int:
        return self.batches_per_epoch * self.config.epochs

    @property
    def batches_done(self) -> int:
        return self.history[-1].batches

    @property
    def finished(self) -> bool:
        stale = self.history[-1].round - self.best_round >= self.config.patience
        return stale or self.batches_done >= self.total_batches

    @property
    def windows_per_second(self) -> float | None:
        return self.windows_seen / self.seconds if self.seconds else None

    def train_round(self) -> None:
        """Batches until the next look, then the look."""
        started, losses = time.monotonic(), []
        last = min(self.batches_done + self.look_every, self.total_batches)
        for rows, targets in self._batches(self.batches_done, last):
            inputs = network_inputs(self.data.series, rows, self.scaler)
            loss = self.networks.trained.train_on_batch(inputs, [targets[..., None]] * self.config.members)
            losses.append(float(np.ravel(loss)[0]) / self.config.members)
            self.windows_seen += len(rows)
        self.seconds += time.monotonic() - started
        self.look(train_loss=float(np.mean(losses)), batches=last, seconds=time.monotonic() - started)

    def look(self, *, train_loss: float | None, batches: int = 0, seconds: float = 0.0) -> None:
        """Measure the validation part and keep the weights if they are the best so far.

        The weights looked at are averages over the newest batches where the configuration says so; training itself
        goes on with its own.
        """
        trained = self.networks.trained
        own = trained.get_weights()
        if batches:  # before the first there is nothing to average
            trained.optimizer.finalize_variable_values(trained.trainable_variables)
        loss = self._validation_loss()
        self.history.append(
            Round(
                round=len(self.history),
                batches=batches,
                train_loss=train_loss,
                validation_loss=loss,
                seconds=round(seconds, 3),
            )
        )
        if not self.best or loss < self.history[self.best_round].validation_loss:
            self.best, self.best_round = trained.get_weights(), self.history[-1].round
        trained.set_weights(own)

    def progress(self) -> Progress:
        return Progress(
            epoch=-(-self.batches_done // self.batches_per_epoch),
            epochs=self.config.epochs,
            batches=self.batches_done,
            total=self.total_batches,
            train_loss=self.history[-1].train_loss,
            validation_loss=self.history[-1].validation_loss,
            best_loss=self.history[self.best_round].validation_loss,
            windows_per_second=self.windows_per_second or 0.0,
        )

    def state(self, run: str) -> UnfinishedRun:
        trained = self.networks.trained
        return UnfinishedRun(
            run=run,
            variables=[variable.numpy() for variable in trained.variables],
            optimizer=[variable.numpy() for variable in trained.optimizer.variables],
            best=self.best,
            history=[record.model_dump() for record in self.history],
            best_round=self.best_round,
        )

    def restore(self, unfinished: UnfinishedRun) -> None:
        trained = self.networks.trained
        _assign(trained.variables, unfinished.variables)
        _assign(trained.optimizer.variables, unfinished.optimizer)
        self.best, self.best_round = unfinished.best, unfinished.best_round
        self.history = [Round.model_validate(record) for record in unfinished.history]

    def _batches(self, first: int, last: int) -> Iterator[tuple[IntArray, Float32Array]]:
        """Batches ``first`` to ``last`` of the run; their order follows from seed and epoch alone."""
        for batch in range(first, last):
            epoch, place = divmod(batch, self.batches_per_epoch)
            if batch == first or place == 0:
                order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.train))
            chosen = order[place * self.config.batch_size : (place + 1) * self.config.batch_size]
            yield self.train.rows[chosen], self.train.targets[chosen]

    def _validation_loss(self) -> float:
        quantiles = scaled_quantiles(self.networks.served, self.data.series, self.validation.rows, self.scaler)
        miss = self.validation.targets[..., None] - quantiles
        level = np.array(self.config.levels)
        return float(np.mean(np.maximum(level * miss, (level - 1.0) * miss)))


def _assign(variables: list[Any], values: list[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
