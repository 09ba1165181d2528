"""One small network, trained for real, that many tests look at."""

from pathlib import Path

import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import TrainingConfig, parse_config
from tests.made_up_bars import make_bars

DATA_VERSION = DataVersion(table_id="made-up", version=3, content_sha256="0" * 64)
UNIVERSES = {"XNYS": ["T3", "T1"], "XETR": ["T2"]}


def tiny_config(**changes: object) -> TrainingConfig:
    """A network that trains in a second: 64 bars of history, two members of four cells."""
    content = {
        "name": "tiny",
        "columns": ["log_return", "range_volatility"],
        "context_columns": ["jump_share"],
        "lookback": 10,
        "scale_length": 60,
        "layers": [{"type": "LSTM", "units": 4}, {"type": "Dropout", "rate": 0.1}],
        "members": 2,
        "every_days": 4,
        "batch_size": 64,
        "epochs": 3,
        "validate_every": 3,
        "weight_average": 0.9,
    }
    return parse_config({**content, **changes})


def market_config(**changes: object) -> TrainingConfig:
    """The same, reading the market too: what ``tiny_checkpoint`` was trained with."""
    return tiny_config(columns=["log_return", "range_volatility", "market_absolute_return"], **changes)


def plain_config(**changes: object) -> TrainingConfig:
    """One member without an LSTM, for what an LSTM has no part in: TensorFlow traces it five times sooner."""
    layers = [{"type": "Dense", "units": 4}, {"type": "Dropout", "rate": 0.1}]
    return tiny_config(**{"members": 1, "layers": layers, **changes})


def tiny_universe() -> dict[str, BarArrays]:
    """Three tickers of 900 bars and one that is too short."""
    long = {f"T{seed}": make_bars(900, seed=seed) for seed in (1, 2, 3)}
    return {**long, "NEW": make_bars(30, start="2013-01-01")}


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A finished checkpoint; read it, do not write into it."""
    from ml_lifecycle.training.train import train

    folder: Path = tmp_path_factory.mktemp("training") / "tiny"
    return train(market_config(), tiny_universe(), data_version=DATA_VERSION, out_dir=folder, universes=UNIVERSES)
