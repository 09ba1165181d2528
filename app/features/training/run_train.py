"""One training, from stored bars to a registered bundle: what `closecast train` and the job do. It brings TensorFlow.

Nothing is promoted.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.config import Settings
from app.features.registry.folders import find_bundle, register
from app.features.training.kinds import Emit
from app.features.training.tracked import tell_losses, tell_outcome, tracked_run
from app.features.training.train_spec import TrainSpec
from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.own_columns import OwnColumns
from data_pipeline.serving_window import DataVersion
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.export_model import export_bundle
from ml_lifecycle.training.checkpoint import Checkpoint, CheckpointContent
from ml_lifecycle.training.config import TrainingConfig, configured, load_document
from ml_lifecycle.training.config_document import ConfigDocument, DataChoice
from ml_lifecycle.training.fine_tuning import Parent, fine_tune
from ml_lifecycle.training.run_folder import held_run_folder
from ml_lifecycle.training.train import train

if TYPE_CHECKING:
    from ml_lifecycle.training.fitting import Progress
    from ml_lifecycle.training.tracking import Run

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@dataclass(frozen=True)
class Chosen:
    """What a training is about: configuration, bars, and the bundle to go on from where there is one."""

    config: TrainingConfig
    data: DataChoice
    parent: Parent | None


@dataclass(frozen=True)
class StoredBars:
    """Bars as one data version has them, with the members of each universe then."""

    by_ticker: Mapping[str, BarArrays]
    version: DataVersion
    universes: Mapping[str, Any]


def run(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Train, export and check the bundle, and register it where a database is.

    Parameters
    ----------
    spec : see ``TrainSpec``.

    Returns
    -------
    see ``outcome``.

    Raises
    ------
    ClosecastError : of configuration, bars, training or export; nothing is registered then.
    """
    asked = TrainSpec.of(spec)
    chosen = choose(settings, asked)
    bars = read_bars(settings, chosen.data)
    train_network = partial(fine_tune, chosen.parent) if chosen.parent else train
    return train_and_export(settings, asked, chosen.config, bars, emit, train_network=train_network)


def choose(settings: Settings, asked: TrainSpec) -> Chosen:
    """The configuration and the bars, and the bundle to go on from where the spec or the configuration names one.

    Raises
    ------
    ConfigurationError : fine-tuning without tickers, or with columns of its own.
    """
    own = OwnColumns.of(asked.columns) if asked.columns else None
    document, where = _document(asked)
    told = configured(document, where=where, own=own)
    data = _data(asked, document.data)
    named = asked.fine_tune or told.fine_tune
    if named is None:
        return Chosen(told.leaving_to_gate(settings.gate_days), data, None)
    if own:
        raise ConfigurationError("fine-tuning reads its parent's columns, which CLOSECAST_COLUMNS names, not --columns")
    if not data.tickers:
        raise ConfigurationError("fine-tuning is for some tickers: name them with --tickers")
    return Chosen(told, data, Parent.read(find_bundle(settings, named)))


def read_bars(settings: Settings, data: DataChoice) -> StoredBars:
    """The bars that were chosen; all stored tickers where none is named.

    Raises
    ------
    ConfigurationError : a ticker has no bar within the days asked for.
    """
    store = FeatureStore(settings.bars_uri, settings.store_options)
    version = store.version(data.data_version)
    bars = store.read_many_bar_arrays(list(data.tickers) or None, version.version)
    within = {ticker: _between(whole, data) for ticker, whole in bars.items()}
    if empty := sorted(ticker for ticker, cut in within.items() if not len(cut)):
        raise ConfigurationError(f"no bars of {', '.join(empty[:5])} from {data.start_date} to {data.end_date}")
    return StoredBars(within, version, store.market.universes(version.version))


def train_and_export(
    settings: Settings,
    asked: TrainSpec,
    config: TrainingConfig,
    bars: StoredBars,
    emit: Emit,
    *,
    train_network: Callable[..., Checkpoint] = train,
) -> dict[str, Any]:
    """Train with ``train_network`` (``train``, or one that goes on from a bundle), export, register; see ``outcome``.

    An interrupted run in the same folder goes on where it stopped, if ``asked.resume`` says so.

    Raises
    ------
    RunFolderBusyError : another process trains in that folder.
    """
    os.environ.setdefault(LOG_LEVEL, "3")  # TensorFlow's remarks on the processor would break into the progress
    emit.log(f"training {config.name} on {len(bars.by_ticker)} tickers, data version {bars.version.version}")
    params = config.model_dump(mode="json")
    named = asked.checkpoint or asked.work_dir or settings.home / "checkpoints" / config.name
    with (
        held_run_folder(named) as folder,
        tracked_run(settings, config.name, params, bars.version, {"job": asked.job_id}) as run,
    ):
        checkpoint = train_network(
            config,
            bars.by_ticker,
            data_version=bars.version,
            out_dir=folder,
            universes=bars.universes,
            progress=partial(_tell, emit, run),
            resume=asked.resume,
        )
        emit.log("exporting and checking the bundle")
        bundle = export_bundle(checkpoint.folder, settings.bundles)
        if settings.database_url is not None:
            register(settings, bundle)
        tell_outcome(run, checkpoint, bundle)
    emit.log(f"bundle {bundle.name}")
    return outcome(checkpoint, bundle)


def outcome(checkpoint: Checkpoint, bundle: Path) -> dict[str, Any]:
    """What came of a training.

    ``val_rmse`` and ``val_mae`` are one trading day ahead, in listing currency, on the days after the calibration part,
    which decided nothing; the naive forecast's stand beside them. They are None where there are no such days.
    """
    content = checkpoint.content
    first = next((score for score in content.scores if score["horizon"] == 1), {})
    return {
        "bundle": bundle.name,
        "folder": str(bundle),
        "checkpoint": str(checkpoint.folder),
        "weights_sha256": content.weights_sha256,
        "training_seconds": content.training_seconds,
        "windows_per_second": content.windows_per_second,
        "scores": content.scores,
        "data_version": content.data_version.version,
        "tickers": list(content.tickers),
        "pairs": content.pairs,
        **losses(content),
        **{f"val_{name}": first.get(name) for name in ("rmse", "mae")},
        **{f"naive_val_{name}": first.get(f"naive_{name}") for name in ("rmse", "mae")},
    }


def losses(content: CheckpointContent) -> dict[str, float | None]:
    """Pinball loss in units of volatility: of the newest batches, and of the validation part with the weights kept."""
    return {
        "final_train_loss": content.history[-1].train_loss,
        "final_val_loss": content.history[content.best_round].validation_loss,
    }


def _document(asked: TrainSpec) -> tuple[ConfigDocument, str]:
    if asked.content is not None:
        return ConfigDocument.read(asked.content), "training configuration"
    named = asked.config or ("fine_tune" if asked.fine_tune else "default")
    return load_document(named), named


def _data(asked: TrainSpec, named: DataChoice) -> DataChoice:
    """What the configuration names, where the spec itself says nothing."""
    told = {name: getattr(asked, name) for name in DataChoice.model_fields if getattr(asked, name) not in (None, ())}
    return named.model_copy(update=told)


def _between(bars: BarArrays, data: DataChoice) -> BarArrays:
    begun = bars if data.start_date is None else bars.since(data.start_date)
    return begun if data.end_date is None else begun.until(data.end_date)


def _tell(emit: Emit, run: "Run", state: "Progress") -> None:
    tell_losses(run, state)
    emit.progress(
        epoch=state.epoch,
        epochs=state.epochs,
        batches=state.batches,
        total=state.total,
        train_loss=state.train_loss,
        validation_loss=state.validation_loss,
        best_loss=state.best_loss,
        windows_per_second=round(state.windows_per_second, 1),
    )
