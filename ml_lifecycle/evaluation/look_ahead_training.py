"""Hunting look-ahead in what is learnt: market means, parts, targets, scaler, weights, calibration.

Each part of the data may decide what it is there for and nothing before it: bars after ``train_end`` no scaler and no
step of the training, bars after ``validation_end`` no weights, bars after ``calibration_end`` nothing at all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from data_pipeline.processing.bar_arrays import MARKET_ARRAYS, BarArrays, FloatArray
from data_pipeline.processing.look_ahead import future_variants, moved
from data_pipeline.processing.market import with_means_of
from data_pipeline.processing.scaler import Scaler
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.look_ahead_check import Fault, Universe
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.pairs import TrainingData, gather
from ml_lifecycle.training.parts import PART_NAMES, Parts, part_dates
from ml_lifecycle.training.training_statistics import training_scaler

ALL = "all tickers"
NOT_STORED = DataVersion(table_id="look-ahead check", version=0, content_sha256="0" * 64)
SAMPLED_PAIRS = 500  # of a part whose windows are compared; targets are compared whole
BOUNDS = ("train_end", "validation_end", "calibration_end")
# What is erased or cut before the last part leaves an empty part behind, which training refuses.
WITH_ALL_PARTS = ("changed", "shifted")


class TrainLike(Protocol):
    """Called as ``ml_lifecycle.training.train.train``: training itself, or anything around it, such as tuning."""

    def __call__(
        self,
        config: TrainingConfig,
        bars_by_ticker: Mapping[str, BarArrays],
        /,
        *,
        data_version: DataVersion,
        out_dir: Path,
    ) -> Checkpoint:
        """Choose whatever is to be chosen, train, and leave a checkpoint."""


def own_market(universe: Universe) -> Universe:
    """The bars with the means over all of them."""
    return with_means_of(universe.keys(), universe)


@dataclass(frozen=True)
class DataStages:
    """From bars to what training reads; put another function in the place of one to see what the check says of it."""

    market: Callable[[Universe], Universe] = own_market
    gather: Callable[[TrainingConfig, Universe, Parts], TrainingData] = gather
    scaler: Callable[[TrainingConfig, TrainingData], Scaler] = training_scaler


def check_data(
    config: TrainingConfig, universe: Universe, stages: DataStages | None = None, *, seed: int = 0
) -> Iterator[Fault]:
    """Faults of market means, of the pairs of each part, and of the scaler."""
    chosen = stages or DataStages()
    dated = with_dates(config, universe)
    parts = part_dates(dated, universe)
    yield from _market_faults(chosen, universe, parts.train_end, seed)
    known = _contents(chosen, dated, universe, parts)
    for number, bound in enumerate(BOUNDS):
        day = getattr(parts, bound)
        wanted = [name for name in known if name.split(",")[0] in ("scaler", *PART_NAMES[: number + 1])]
        for kind, variant in universe_variants(universe, day, seed, last=bound == BOUNDS[-1]).items():
            values = _contents(chosen, dated, variant, parts)
            for name in moved(values, {name: known[name] for name in wanted}):
                part, _, what = name.partition(", ")
                stage = "scaler" if part == "scaler" else "parts"
                yield Fault(stage, what, ALL, day, f"bars after {bound} {kind}: the {part} part moved")


def _market_faults(stages: DataStages, universe: Universe, day: date, seed: int) -> Iterator[Fault]:
    members = {
        ticker: bars for ticker, bars in universe.items() if len(bars.until(day))
    }  # of a universe as it was then
    known = stages.market(members)
    for kind, variant in universe_variants(members, day, seed, last=True).items():
        for ticker, bars in stages.market(variant).items():
            before = {name: getattr(known[ticker].until(day), name) for name in MARKET_ARRAYS}
            for name in moved({name: getattr(bars.until(day), name) for name in MARKET_ARRAYS}, before):
                yield Fault("market", name, ticker, day, f"bars after the cutoff {kind}: a value moved")


def _contents(stages: DataStages, config: TrainingConfig, universe: Universe, parts: Parts) -> dict[str, FloatArray]:
    """Windows and targets of each part, and the scaler's numbers."""
    with np.errstate(all="ignore"):  # another future may hold no prices
        data = stages.gather(config, universe, parts)
        scaler = stages.scaler(config, data).to_dict()
    contents = {
        f"scaler, {place} {name}": np.array(scaler[place][name])
        for place in ("window", "context")
        for name in ("center", "width")
    }
    for part in PART_NAMES:
        pairs = data.pairs[part]
        rows = pairs.rows[:: max(1, len(pairs.rows) // SAMPLED_PAIRS)]
        windows = data.series.windows(rows)
        contents |= {f"{part}, targets": pairs.targets.astype(np.float64), f"{part}, windows": windows.window}
        contents |= {f"{part}, context": windows.context}
    return contents


def check_training(
    train: TrainLike,
    config: TrainingConfig,
    universe: Universe,
    *,
    known: Checkpoint | None = None,
    bounds: tuple[str, ...] = BOUNDS,
    kinds: tuple[str, ...] = ("changed",),
    seed: int = 0,
) -> Iterator[Fault]:
    """Faults of a whole training, or of whatever is called like one: it is run once more for each other future.

    Parameters
    ----------
    known : what ``train`` made of these very bars, where that was done already.
    bounds : after which of the parts' ends the future is changed.
    kinds : what is done to the future, see ``look_ahead.future_variants``.
    """
    dated = with_dates(config, universe)
    parts = part_dates(dated, universe)
    decided = _decided(known) if known else _decided(_trained(train, dated, universe))
    for bound in bounds:
        day = getattr(parts, bound)
        variants = universe_variants(universe, day, seed, last=bound == BOUNDS[-1])
        for kind in kinds:
            if kind in variants:
                other = _decided(_trained(train, dated, variants[kind]))
                for name in _moved_decisions(decided, other, bound):
                    yield Fault("training", "", ALL, day, f"bars after {bound} {kind}: other {name}")


def _trained(train: TrainLike, config: TrainingConfig, universe: Universe) -> Checkpoint:
    with TemporaryDirectory(prefix="closecast-") as folder, np.errstate(all="ignore"):
        return train(config, universe, data_version=NOT_STORED, out_dir=Path(folder))


# Which decisions may hang on bars up to which end, at the latest.
_DECIDED_BY = {
    "train_end": ("scaler", "reference distribution", "trees"),
    "validation_end": ("configuration", "looks", "weights"),
    "calibration_end": ("calibration", "golden window"),
}


def _decided(checkpoint: Checkpoint) -> dict[str, Any]:
    content = checkpoint.content
    return {
        "scaler": content.scaler,
        "reference distribution": content.reference_distribution,
        "training losses": [record.train_loss for record in content.history],
        "configuration": content.config.model_copy(update=dict.fromkeys(BOUNDS)),  # dates, or shares that give them
        "looks": [(record.batches, record.validation_loss) for record in content.history],
        "weights": content.weights_sha256,
        "trees": content.trees_sha256,
        "calibration": content.calibration_offsets,
        "golden window": content.golden,
    }


def _moved_decisions(known: Mapping[str, Any], other: Mapping[str, Any], bound: str) -> Iterator[str]:
    """Decisions that bars after ``bound`` took part in."""
    firm = [name for earlier in BOUNDS[: BOUNDS.index(bound) + 1] for name in _DECIDED_BY[earlier]]
    yield from (name for name in firm if known[name] != other[name])
    # The validation part may end the training sooner, but not change a step of it.
    ran = min(len(known["training losses"]), len(other["training losses"]))
    if known["training losses"][:ran] != other["training losses"][:ran]:
        yield "training losses"


def with_dates(config: TrainingConfig, universe: Universe) -> TrainingConfig:
    """The configuration with its parts' ends as dates: shares of the days would move with the future's length."""
    return config.model_copy(update=asdict(part_dates(config, universe)))


def universe_variants(universe: Universe, day: date, seed: int, *, last: bool) -> dict[str, Universe]:
    """The same bars up to ``day`` and another future after it; what empties a part only where ``last``."""
    ends = {ticker: len(bars.until(day)) - 1 for ticker, bars in universe.items()}
    variants = {
        ticker: future_variants(bars, ends[ticker], seed + number)
        for number, (ticker, bars) in enumerate(universe.items())
    }
    kinds = ("changed", "erased", "shifted", "cut") if last else WITH_ALL_PARTS
    return {kind: {ticker: variants[ticker][kind] for ticker in universe} for kind in kinds}
