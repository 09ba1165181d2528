"""Fine-tuning: training that goes on from a bundle's weights, on the windows of a few tickers.

Inputs, network, scaler and the days of each part are the parent's, so that nothing after its calibration part decides
anything; a configuration only steers the descent. The parent takes part as look 0: where the tickers' own windows teach
nothing, its very weights are kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import ValidationError

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.scaler import Scaler
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.canonical_json import parse_json_object
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.folder import DRIFT_REFERENCE, NETWORK_KERAS
from ml_lifecycle.export.manifest import Manifest
from ml_lifecycle.training.checkpoint import TREES, Checkpoint, ColumnDistribution
from ml_lifecycle.training.config import TrainingConfig, parse_config
from ml_lifecycle.training.config_document import METADATA, TRAINING
from ml_lifecycle.training.parts import known_days
from ml_lifecycle.training.train import SAVE_EVERY_SECONDS, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml_lifecycle.training.fitting import Progress

STEERING = TRAINING - {"fine_tune"} | METADATA  # what a configuration may say; everything else is the parent's


@dataclass(frozen=True)
class Parent:
    """The bundle to go on from, checked.

    ``config`` is what it was trained with; ``train_end`` and ``calibration_end`` are what its manifest says.
    ``reference_distribution`` is of its own training part, empty where its ``reference.json`` describes none.
    """

    bundle_id: str
    manifest: Manifest
    config: TrainingConfig
    train_end: date
    calibration_end: date
    scaler: Scaler
    network_file: Path
    reference_distribution: tuple[ColumnDistribution, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a bundle's folder; TensorFlow is not imported.

        Raises
        ------
        BundleRefusedError : the folder holds no sound bundle.
        ConfigurationError : it is the reference, which has no weights.
        """
        bundle = load_bundle(folder)
        manifest, network = bundle.manifest, bundle.network
        if network is None or manifest.train_end is None or manifest.calibration_end is None:
            raise ConfigurationError("the reference has no weights to go on from: name a network")
        config = parse_config(manifest.config, where=f"bundle {bundle.bundle_id[:12]}")
        ends = (manifest.train_end, manifest.calibration_end)
        reference = _read_reference(folder)
        return cls(bundle.bundle_id, manifest, config, *ends, network.scaler, folder / NETWORK_KERAS, reference)

    def train_start(self, own: date) -> date:
        """The earlier of its own first bar and ``own``, that of the tickers that it is tuned on."""
        return min(own, self.manifest.train_start or own)

    def trees(self) -> bytes | None:
        """The parent's boosted trees, as they lie in its folder; None where it has none."""
        return self.network_file.with_name(TREES).read_bytes() if TREES in self.manifest.member_weights else None

    def give_weights(self, network: Any) -> None:
        """Put the parent's weights into a network that was built from its configuration.

        Raises
        ------
        ConfigurationError : networks of this configuration are built otherwise by now.
        """
        import keras

        from ml_lifecycle.models.weights import network_sha256

        stored = keras.models.load_model(self.network_file, compile=False, safe_mode=True)
        weights = {weight.path: weight.numpy() for weight in stored.weights}
        if weights.keys() != {weight.path for weight in network.weights}:
            raise ConfigurationError(f"bundle {self.bundle_id[:12]} holds another network than is built now")
        for weight in network.weights:
            weight.assign(weights[weight.path])
        if network_sha256(network) != self.manifest.weights_sha256:
            raise ConfigurationError(f"network.keras of bundle {self.bundle_id[:12]} holds other weights than it says")


def _read_reference(folder: Path) -> tuple[ColumnDistribution, ...]:
    """Of a bundle that loaded: the columns are those that its network reads."""
    try:
        listed = parse_json_object((folder / DRIFT_REFERENCE).read_bytes(), name=DRIFT_REFERENCE)["columns"]
        return tuple(ColumnDistribution.model_validate(each) for each in listed)
    except ValidationError as error:
        raise BundleRefusedError(f"{DRIFT_REFERENCE}: {error.errors(include_url=False)[0]['msg']}") from error


def fine_tune(
    parent: Parent,
    told: TrainingConfig,
    bars_by_ticker: Mapping[str, BarArrays],
    *,
    data_version: DataVersion,
    out_dir: Path,
    universes: Mapping[str, Collection[str]] | None = None,
    progress: "Callable[[Progress], None] | None" = None,
    resume: bool = False,
    save_every_seconds: float = SAVE_EVERY_SECONDS,
) -> Checkpoint:
    """Train on from ``parent`` on these tickers; the other parameters are those of ``train``.

    Raises
    ------
    ConfigurationError : ``told`` names what is the parent's to say.
    TooFewPairsError : a part holds no whole window of these tickers.
    """
    return train(
        steered(parent, told, bars_by_ticker),
        bars_by_ticker,
        data_version=data_version,
        out_dir=out_dir,
        universes=universes,
        progress=progress,
        resume=resume,
        save_every_seconds=save_every_seconds,
        parent=parent,
    )


def steered(parent: Parent, told: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays]) -> TrainingConfig:
    """The parent's configuration with what ``told`` says of the descent, and its parts as dates.

    Raises
    ------
    ConfigurationError : ``told`` names what is the parent's to say.
    """
    foreign = sorted(told.model_fields_set - STEERING - {"fine_tune"})
    if foreign:
        raise ConfigurationError(f"fine-tuning takes {', '.join(foreign)} from its parent: leave it out")
    descent = {name: getattr(told, name) for name in STEERING & told.model_fields_set}
    days = {**part_dates_of(parent, bars_by_ticker), "train_period": None}
    content = {**parent.config.model_dump(), **days, **descent}
    return parse_config({**content, "fine_tune": parent.bundle_id}, where="fine-tuning")


def part_dates_of(parent: Parent, bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, date]:
    """The last day of each of the parent's parts.

    A bundle that was trained by shares does not name the day that parted validation from calibration: its shares split
    the days between the ends that it does name.
    """
    config = parent.config
    if config.train_end and config.validation_end and config.calibration_end:
        ends = (config.train_end, config.validation_end, config.calibration_end)
    else:
        share = config.validation_share / (config.validation_share + config.calibration_share)
        middle = _day_between(parent.train_end, parent.calibration_end, share, bars_by_ticker)
        ends = (parent.train_end, middle, parent.calibration_end)
    return dict(zip(("train_end", "validation_end", "calibration_end"), ends, strict=True))


def _day_between(after: date, last: date, share: float, bars_by_ticker: Mapping[str, BarArrays]) -> date:
    days = known_days(bars_by_ticker)
    between = days[(days > np.datetime64(after)) & (days < np.datetime64(last))]
    if not len(between):
        raise ConfigurationError(f"these tickers have no bar between {after} and {last}, the parent's own parts")
    found: date = between[max(round(share * len(between)) - 1, 0)].item()
    return found
