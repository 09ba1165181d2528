"""`closecast train`: stored bars in, a checked bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from data_pipeline.storage.feature_store import FeatureStore
    from ml_lifecycle.training.checkpoint import Checkpoint
    from ml_lifecycle.training.config import TrainingConfig
    from ml_lifecycle.training.fine_tuning import Parent


def train(
    config: Annotated[
        str | None,
        typer.Option(help="YAML file, or a packaged configuration: default, demo, closes, fine_tune.", metavar="FILE"),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Input columns of your own: a file or an importable module.", metavar="MODULE"),
    ] = None,
    fine_tune: Annotated[
        str | None,
        typer.Option(help="Go on from this bundle's weights, on --tickers alone.", metavar="BUNDLE"),
    ] = None,
    tickers: Annotated[str | None, typer.Option(help="Comma-separated; none: all that are stored.")] = None,
    data_version: Annotated[int | None, typer.Option(help="Version of the bars; none: the newest.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of the run [CLOSECAST_HOME/checkpoints/NAME].")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an interrupted run could go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Train a network on stored bars, export and check its bundle, and register it where a database runs.

    An interrupted run of the same configuration, data and tickers goes on where it stopped. Nothing is promoted.

    A bundle that is fine-tuned for a few tickers keeps its parent's inputs, scaler and days (docs/fine-tuning.md).

    Example: [bold]closecast train --config demo --tickers AAPL,MSFT[/bold]
    """
    import os

    from cli.bundles import register
    from cli.console import out, print_json
    from cli.settings import read_settings, with_running_database
    from data_pipeline.storage.feature_store import FeatureStore

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks on the processor would break the bar
    settings = with_running_database(read_settings())
    names = [ticker for ticker in (tickers or "").split(",") if ticker]
    chosen, parent = _chosen(settings, config, columns, fine_tune, names)
    store = FeatureStore(settings.bars_uri, settings.store_options)
    folder = checkpoint or settings.home / "checkpoints" / chosen.name
    trained = _train(store, chosen, parent, names, data_version, folder, resume=not fresh)
    bundle = _export(settings, trained.folder)
    if settings.database_url is not None:
        register(settings, bundle)
    if as_json:
        print_json(_as_document(trained, bundle))
    else:
        out.print(f"bundle {bundle.name}", soft_wrap=True)
        out.print(f"Compare it: closecast evaluate {bundle.name[:12]}")
        out.print(f"Serve it:   closecast promote {bundle.name[:12]}")
        if columns:
            out.print(f"It is loaded only where CLOSECAST_COLUMNS names {columns}, unchanged.", soft_wrap=True)


def _chosen(
    settings: Settings, config: str | None, columns: str | None, fine_tune: str | None, names: list[str]
) -> tuple[TrainingConfig, Parent | None]:
    """The configuration, and the bundle to go on from where the command or the configuration names one.

    Raises
    ------
    ConfigurationError : fine-tuning without tickers, or with columns of its own.
    """
    from cli.bundles import find_bundle
    from data_pipeline.errors import ConfigurationError
    from data_pipeline.processing.own_columns import OwnColumns
    from ml_lifecycle.training.config import load_config
    from ml_lifecycle.training.fine_tuning import Parent

    told = load_config(
        config or ("fine_tune" if fine_tune else "default"), own=OwnColumns.of(columns) if columns else None
    )
    named = fine_tune or told.fine_tune
    if named is None:
        days = told.gate_days if "gate_days" in told.model_fields_set else settings.gate_days
        return told.model_copy(update={"gate_days": days}), None
    if columns:
        raise ConfigurationError("fine-tuning reads its parent's columns, which CLOSECAST_COLUMNS names, not --columns")
    if not names:
        raise ConfigurationError("fine-tuning is for some tickers: name them with --tickers")
    return told, Parent.read(find_bundle(settings, named))


def _train(
    store: FeatureStore,
    config: TrainingConfig,
    parent: Parent | None,
    names: list[str],
    data_version: int | None,
    folder: Path,
    *,
    resume: bool,
) -> Checkpoint:
    from functools import partial

    from cli.progress import training
    from data_pipeline.ticker import parse_ticker
    from ml_lifecycle.training.fine_tuning import fine_tune
    from ml_lifecycle.training.train import train as train_anew

    version = store.version(data_version)
    bars = store.read_many_bar_arrays([parse_ticker(name) for name in names] or None, version.version)
    train_network = partial(fine_tune, parent) if parent else train_anew
    with training("Training") as progress:
        return train_network(
            config,
            bars,
            data_version=version,
            out_dir=folder,
            universes=store.market.universes(version.version),
            progress=progress,
            resume=resume,
        )


def _export(settings: Settings, checkpoint: Path) -> Path:
    from cli.progress import working
    from ml_lifecycle.export.export_model import export_bundle

    with working("Exporting and checking the bundle"):
        return export_bundle(checkpoint, settings.bundles)


def _as_document(trained: Checkpoint, bundle: Path) -> dict[str, Any]:
    content = trained.content
    return {
        "bundle": bundle.name,
        "folder": str(bundle),
        "checkpoint": str(trained.folder),
        "weights_sha256": content.weights_sha256,
        "training_seconds": content.training_seconds,
        "windows_per_second": content.windows_per_second,
        "scores": content.scores,
    }
