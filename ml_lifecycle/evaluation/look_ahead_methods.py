"""Hunting look-ahead in the methods of a backtest: all of them, each in a bounded time."""

from collections.abc import Iterator
from typing import Any

from ml_lifecycle.evaluation.backtest import Method
from ml_lifecycle.evaluation.forecasters import Forecaster
from ml_lifecycle.evaluation.look_ahead_backtest import ALL_DAYS, check_backtest
from ml_lifecycle.evaluation.look_ahead_check import Fault, Universe, check_forecaster
from ml_lifecycle.evaluation.methods.registry import METHODS

# How much is learnt does not matter here, only what it is learnt from.
LITTLE: dict[str, dict[str, Any]] = {"lightgbm": {"rounds": 10}, "tutorial_lstm": {"epochs": 1}}
PLACES = {"garch_t": 1, "autoets": 1}  # cutoffs looked at where each of two dozen answers is a fit; else three
LEARNT_BARS = 300  # before the first cutoff, where every ticker is trained on its own
REFIT_EVERY = 60
# The same network on the same bars, but at more cutoffs at a time: single precision rounds otherwise in other batches.
BATCH_TOLERANCE = 1e-4


def methods_that_learn_little(levels: tuple[float, ...]) -> dict[str, Method]:
    """Every method of ours, those that learn with a training of seconds."""
    return {name: make(levels, **LITTLE.get(name, {})) for name, make in METHODS.items()}


def check_method(name: str, method: Method, bars: Universe, *, seed: int = 0) -> Iterator[Fault]:
    """Faults of one method of a backtest.

    One that learns walks forward and is trained anew along the way: its answers up to a day may not depend on later
    bars. Where it learns of one ticker for this ticker alone, that is one ticker's newest bars and one training.
    """
    stage = f"forecast of {name}"
    if isinstance(method, Forecaster):
        yield from check_forecaster(method, bars, stage=stage, n_places=PLACES.get(name, 3), seed=seed)
    elif method.one_ticker:
        yield from check_backtest(
            _newest_of_one(bars), {name: method}, refit_every=ALL_DAYS, tolerance=BATCH_TOLERANCE, seed=seed
        )
    else:
        yield from check_backtest(bars, {name: method}, refit_every=REFIT_EVERY, seed=seed)


def _newest_of_one(bars: Universe) -> Universe:
    ticker = max(sorted(bars), key=lambda one: len(bars[one]))
    return {ticker: bars[ticker].last(LEARNT_BARS + ALL_DAYS)}
