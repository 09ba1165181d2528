"""The whole path at once, on a small network trained for the purpose: bars, columns, windows, training, bundle."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.bars import as_bar_arrays, check_bars
from data_pipeline.sources.base import FetchedBars
from ml_lifecycle.evaluation.backtest import Method
from ml_lifecycle.evaluation.look_ahead_backtest import check_adaptive, check_backtest
from ml_lifecycle.evaluation.look_ahead_check import (
    Fault,
    Universe,
    check_forecaster,
    check_inputs,
)
from ml_lifecycle.evaluation.look_ahead_methods import check_method
from ml_lifecycle.evaluation.look_ahead_training import (
    NOT_STORED,
    TrainLike,
    check_data,
    check_training,
    own_market,
    with_dates,
)
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.export_model import export_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.train import train

# What is learnt does not matter here, only what it is learnt from: the same path, a network of no size.
SMALL: dict[str, Any] = {
    "layers": (),
    "hidden_size": 4,
    "num_layers": 1,
    "members": 1,
    "epochs": 1,
    "validate_every": 20,
    "batch_size": 64,
}
EVERY_DAYS = 15  # bars between a ticker's training cutoffs, at least
FINAL_AFTER = timedelta(hours=1)
EXCHANGE = "all"  # the one universe that the tickers at hand make


class BarFiles(Protocol):
    """Where bars come from that are not stored: files, or the packaged sample."""

    def tickers(self) -> list[str]:
        """What is there."""

    def fetch_bars(self, ticker: str, start: None, end: None) -> FetchedBars:
        """All bars of a ticker."""


def read_bars(source: BarFiles, tickers: list[str]) -> dict[str, BarArrays]:
    """Checked bars of ``tickers``, or of all there are.

    Raises
    ------
    PriceSourceError : a ticker is not there, or its bars cannot be used.
    """
    fetched = [source.fetch_bars(ticker, None, None) for ticker in tickers or source.tickers()]
    checked = [check_bars(one, now=datetime.now(UTC), final_after=FINAL_AFTER) for one in fetched]
    arrays = {one.ticker: as_bar_arrays(two.bars) for one, two in zip(fetched, checked, strict=True) if len(two.bars)}
    return {ticker: bars for ticker, bars in sorted(arrays.items()) if len(bars)}


def check_path(
    config: TrainingConfig,
    universe: Universe,
    *,
    train_like: TrainLike | None = None,
    methods: Mapping[str, Method] | None = None,
    learning: bool = True,
    tell: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> Iterator[Fault]:
    """Faults from bars to bundle, stage by stage.

    Parameters
    ----------
    universe : bars by ticker; their market is made of them all.
    train_like : what trains, tunes or both, in the place of ``train``.
    methods : methods of a backtest by name to look at besides.
    learning : whether to train, export and look at that too: half a minute.
    tell : called with what comes next.

    Raises
    ------
    TooFewPairsError : the bars are too few for a training.
    """
    bars = own_market(universe)
    tell("columns and windows")
    yield from check_inputs(config.input_spec, bars, seed=seed)
    for name, method in (methods or {}).items():
        tell(f"forecasts of {name}")
        yield from check_method(name, method, bars, seed=seed)
    if learning:
        tell("walking forward and adaptive calibration")
        yield from check_backtest(bars, seed=seed)
        yield from check_adaptive(seed=seed)
        yield from check_learning(config, bars, train_like, tell=tell, seed=seed)


def check_learning(
    config: TrainingConfig,
    bars: Universe,
    train_like: TrainLike | None = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> Iterator[Fault]:
    """The part of ``check_path`` that trains a small network, several times, and exports it."""
    small = with_dates(small_config(config), bars)
    tell("market, parts and scaler")
    yield from check_data(small, bars, seed=seed)
    chosen = train_like or partial(train, universes={EXCHANGE: tuple(bars)})
    with TemporaryDirectory(prefix="closecast-") as folder:
        tell("training")
        known = chosen(small, bars, data_version=NOT_STORED, out_dir=Path(folder) / "checkpoint")
        tell("trainings on other futures")
        yield from check_training(chosen, small, bars, known=known, kinds=("changed", "cut"), seed=seed)
        tell("forecasts of the bundle")
        bundle = load_bundle(export_bundle(known.folder, Path(folder) / "bundles"))
        yield from check_forecaster(BundleForecaster(bundle), bars, stage="forecast of the bundle", seed=seed)


def small_config(config: TrainingConfig) -> TrainingConfig:
    """The same inputs, parts and levels, with a network that trains in seconds."""
    return config.model_copy(update={**SMALL, "every_days": max(config.every_days, EVERY_DAYS)})
