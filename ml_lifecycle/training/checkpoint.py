"""What a training run leaves behind: everything that an export needs, so that a bundle can be rebuilt untrained.

``checkpoint.json`` is written last: a folder without it is a run that did not end.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from data_pipeline.errors import ClosecastError, ConfigurationError
from data_pipeline.processing.bar_arrays import MARKET_ARRAYS, BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.evaluation.evaluate import ForecastRows
from ml_lifecycle.export.conformal import AdaptiveChoice
from ml_lifecycle.training.config import TrainingConfig

CHECKPOINT = "checkpoint.json"
NETWORK = "network.keras"
TREES = "member_trees.onnx"
FORECASTS = "forecasts.npz"
_PRICES = ("open", "high", "low", "close", "adj_close", "volume")


class CheckpointUnreadableError(ClosecastError):
    """The folder holds no complete checkpoint of this format: train again, or name another folder."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NamedDataVersion(_Record):
    """The state of the store that was trained on."""

    table_id: str
    version: int
    content_sha256: str


class GoldenExample(_Record):
    """One real input with the network's own answer, before any calibration.

    Attributes
    ----------
    bars : the ``history_needed`` bars it was made from, as lists by field of ``BarArrays``; days in ISO form.
    window, context : scaled, float32; shapes ``(lookback, n_columns)`` and ``(n_context,)``.
    scale : daily volatility.
    answer : quantiles in scaled units, shape ``(n_horizons, n_levels)``.
    """

    ticker: str
    bars: dict[str, list[Any]]
    window: list[list[float]]
    context: list[float]
    scale: float
    answer: list[list[float]]

    def bar_arrays(self) -> BarArrays:
        """The bars as the forecaster takes them."""
        prices = {name: np.array(self.bars[name], dtype=np.float64) for name in _PRICES}
        market = {name: np.array(self.bars.get(name, []), dtype=np.float64) for name in MARKET_ARRAYS}
        return BarArrays(trading_day=np.array(self.bars["trading_day"], dtype="datetime64[D]"), **prices, **market)

    @classmethod
    def listed(cls, bars: BarArrays) -> dict[str, list[Any]]:
        """Bars as plain lists; None where the market is unknown, which JSON can tell and NaN it cannot."""
        days = [str(day) for day in bars.trading_day.astype("datetime64[D]")]
        market = {
            name: [value if np.isfinite(value) else None for value in getattr(bars, name).tolist()]
            for name in MARKET_ARRAYS
        }
        return {"trading_day": days, **{name: getattr(bars, name).tolist() for name in _PRICES}, **market}


class ColumnDistribution(_Record):
    """One input column over the training part, before the scaler, for drift.

    ``edges`` are its deciles without the outermost; ``shares[i]`` of the values lie below ``edges[i]`` and not below
    the edge before, the last share above them all.
    """

    name: str
    mean: float
    deviation: float
    edges: list[float]
    shares: list[float]


class Round(_Record):
    """One look at the validation part."""

    round: int
    batches: int
    train_loss: float | None
    validation_loss: float
    seconds: float


class CheckpointContent(_Record):
    """``checkpoint.json``.

    Attributes
    ----------
    scaler : as ``Scaler.to_dict`` gives it.
    market_universe : members of each universe at the data version; empty where the network does not read the market.
    skipped_tickers : had too few bars.
    fine_tuned_from, parent_tickers : the bundle that was begun with, and what it had been trained on itself.
    pairs : pairs of window and target in each part.
    trees_sha256 : of ``member_trees.onnx``; None where the network is alone.
    calibration_offsets : shape ``(n_horizons, n_levels)``, scaled units, to add to the network's quantiles.
    adaptive : whether intervals are to follow their errors at serving, as the calibration part says.
    best_round : the round of ``history`` whose weights were kept; 0 is the untrained network.
    scores : per horizon on the test part, calibrated, beside the naive (``Scores.to_dict``); empty where there is none.
    """

    format: Literal[1] = 1
    created_at: datetime
    config: TrainingConfig
    input_spec: InputSpec
    scaler: dict[str, Any]
    data_version: NamedDataVersion
    tickers: tuple[str, ...]
    skipped_tickers: tuple[str, ...]
    fine_tuned_from: str | None = None
    parent_tickers: tuple[str, ...] = ()
    market_universe: dict[str, tuple[str, ...]]
    train_start: date
    train_end: date
    validation_end: date
    calibration_end: date
    pairs: dict[str, int]
    seed: int
    git_commit: str | None
    library_versions: dict[str, str]
    weights_sha256: str
    trees_sha256: str | None = None
    calibration_offsets: list[list[float]]
    adaptive: AdaptiveChoice = AdaptiveChoice()
    reference_distribution: list[ColumnDistribution]
    golden: GoldenExample
    history: list[Round]
    best_round: int
    windows_per_second: float | None
    training_seconds: float
    scores: list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint folder."""

    folder: Path
    content: CheckpointContent

    @property
    def network_path(self) -> Path:
        """The `.keras` file with the best weights."""
        return self.folder / NETWORK

    @property
    def scaler(self) -> Scaler:
        """The fitted scaler."""
        return Scaler.from_dict(self.content.scaler)

    @property
    def offsets(self) -> FloatArray:
        """Static calibration, shape ``(n_horizons, n_levels)``, scaled units."""
        return np.array(self.content.calibration_offsets)

    def trees(self) -> bytes | None:
        """The boosted trees as an ONNX graph; None where the configuration has none.

        Raises
        ------
        CheckpointUnreadableError : the file is missing or not the one that was written.
        """
        if self.content.trees_sha256 is None:
            return None
        try:
            graph = (self.folder / TREES).read_bytes()
        except OSError as error:
            raise CheckpointUnreadableError(f"{self.folder} holds no {TREES}") from error
        if hashlib.sha256(graph).hexdigest() != self.content.trees_sha256:
            raise CheckpointUnreadableError(f"{self.folder / TREES} is not the file that training wrote")
        return graph

    def forecasts(self) -> ForecastRows | None:
        """The test part's calibrated forecasts with their outcomes; None where the test part is empty.

        Raises
        ------
        CheckpointUnreadableError : the file is damaged.
        """
        file = self.folder / FORECASTS
        if not file.is_file():
            return None
        try:
            # From memory: NumPy leaves the file of a damaged archive open.
            with np.load(BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                return ForecastRows.from_arrays(arrays)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CheckpointUnreadableError(f"{file}: {error}") from error

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read a checkpoint folder; the network itself is not loaded.

        Raises
        ------
        CheckpointUnreadableError : says what is missing or wrong, in one line.
        """
        place = Path(folder)
        file = place / CHECKPOINT
        try:
            content = CheckpointContent.model_validate_json(file.read_bytes())
        except OSError as error:
            raise CheckpointUnreadableError(
                f"{place} holds no finished checkpoint ({CHECKPOINT} is missing)"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise CheckpointUnreadableError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except ConfigurationError as error:
            raise CheckpointUnreadableError(f"{file}: {error}") from error
        if not (place / NETWORK).is_file():
            raise CheckpointUnreadableError(f"{place} holds no {NETWORK}")
        return cls(place, content)


def write_checkpoint(folder: Path, content: CheckpointContent, forecasts: ForecastRows | None) -> Checkpoint:
    """Write the files beside ``network.keras``, ``checkpoint.json`` last and in one step."""
    if forecasts is not None:
        np.savez_compressed(folder / FORECASTS, allow_pickle=False, **forecasts.to_arrays())
    partial = folder / f"{CHECKPOINT}.partial"
    partial.write_text(json.dumps(content.model_dump(mode="json"), indent=1, allow_nan=False), encoding="utf-8")
    partial.replace(folder / CHECKPOINT)
    return Checkpoint(folder, content)
