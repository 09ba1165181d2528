"""Train a network: bars in, a checkpoint folder out that an export can turn into a bundle.

By itself: ``python -m ml_lifecycle.training.train --store BARS --out FOLDER``.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_pipeline.errors import ClosecastError, ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import Windows, latest_window
from data_pipeline.processing.own_columns import OwnColumns
from data_pipeline.processing.scaler import Scaler
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.calibration import believed_offsets, conformal_offsets
from ml_lifecycle.evaluation.evaluate import EvaluationTable, NothingToEvaluateError, cutoff_days, evaluate
from ml_lifecycle.evaluation.network_forecaster import NetworkForecaster, answer_one, scaled_quantiles
from ml_lifecycle.export.conformal import AdaptiveChoice
from ml_lifecycle.training.adaptive_choice import measure_adaptive
from ml_lifecycle.training.checkpoint import (
    CHECKPOINT,
    NETWORK,
    TREES,
    Checkpoint,
    CheckpointContent,
    ColumnDistribution,
    GoldenExample,
    NamedDataVersion,
    write_checkpoint,
)
from ml_lifecycle.training.config import TrainingConfig, load_config
from ml_lifecycle.training.determinism import make_deterministic
from ml_lifecycle.training.member_average import averaged
from ml_lifecycle.training.pairs import TrainingData, gather, long_run_averaged
from ml_lifecycle.training.parts import Parts, part_dates
from ml_lifecycle.training.provenance import git_commit, library_versions
from ml_lifecycle.training.resume_state import STATE, Run, run_digest
from ml_lifecycle.training.run_folder import held_run_folder
from ml_lifecycle.training.training_statistics import (
    reference_distribution,
    sample_rows,
    training_scaler,
    unconditional_quantiles,
)

if TYPE_CHECKING:
    from ml_lifecycle.training.fine_tuning import Parent
    from ml_lifecycle.training.fitting import Fitted, Progress

DATA_ERROR = 3  # exit code, as the command line has it
SAVE_EVERY_SECONDS = 60.0


def train(
    config: TrainingConfig,
    bars_by_ticker: Mapping[str, BarArrays],
    *,
    data_version: DataVersion,
    out_dir: Path,
    universes: Mapping[str, Collection[str]] | None = None,
    progress: "Callable[[Progress], None] | None" = None,
    resume: bool = False,
    save_every_seconds: float = SAVE_EVERY_SECONDS,
    parent: "Parent | None" = None,
) -> Checkpoint:
    """Train, calibrate, score on the test part, and write the checkpoint folder ``out_dir``.

    The same configuration, data version and seed give the same weights on one machine. The test part is looked at
    once, after everything has been decided.

    Parameters
    ----------
    universes : members of each universe whose means ``bars_by_ticker`` carry, by exchange (``Snapshot.universes``).
    progress : called after each look at the validation part.
    resume : go on with an unfinished run of the same configuration, data and tickers in ``out_dir``, if there is one.
    save_every_seconds : how much work a killed run may lose.
    parent : the bundle whose scaler is kept and whose weights are begun with, see ``fine_tuning.fine_tune``.

    Raises
    ------
    TooFewPairsError : a part of the data is empty.
    ConfigurationError : the network reads the market, and there is no universe.
    """
    market_universe = _market_universe(config, universes or {})
    started = time.monotonic()
    parts = part_dates(config, bars_by_ticker)
    data = gather(config, bars_by_ticker, parts)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / CHECKPOINT).unlink(missing_ok=True)  # without this file the folder counts as unfinished
    run = Run(run_digest(config, data_version, data.tickers), out_dir, resume, save_every_seconds)
    trained = _fit(config, parts, data, run, progress, parent)
    trained.keras_network.save(out_dir / NETWORK)
    if trained.trees is not None:
        (out_dir / TREES).write_bytes(trained.trees)
    table = _test_scores(trained, bars_by_ticker)
    own_start = min(bars_by_ticker[ticker][:1].cutoff for ticker in data.tickers)
    content = CheckpointContent(
        created_at=datetime.now(UTC),
        config=config,
        input_spec=config.input_spec,
        scaler=trained.scaler.to_dict(),
        data_version=NamedDataVersion(**asdict(data_version)),
        tickers=data.tickers,
        skipped_tickers=data.skipped,
        fine_tuned_from=parent.bundle_id if parent else None,
        parent_tickers=parent.manifest.tickers if parent else (),
        market_universe=market_universe,
        train_start=parent.train_start(own_start) if parent else own_start,
        **asdict(parts),
        pairs={name: len(pairs) for name, pairs in data.pairs.items()},
        seed=config.seed,
        git_commit=git_commit(),
        library_versions=library_versions(),
        weights_sha256=trained.weights_sha256,
        trees_sha256=None if trained.trees is None else hashlib.sha256(trained.trees).hexdigest(),
        calibration_offsets=trained.offsets.tolist(),
        adaptive=_adaptive(trained, bars_by_ticker),
        reference_distribution=_reference(trained, parent),
        golden=_golden(trained, bars_by_ticker),
        history=list(trained.fitted.history),
        best_round=trained.fitted.best_round,
        windows_per_second=trained.fitted.windows_per_second,
        training_seconds=round(time.monotonic() - started, 3),
        scores=[row.to_dict() for row in table.overall] if table else [],
    )
    checkpoint = write_checkpoint(out_dir, content, table.forecasts if table else None)
    (out_dir / STATE).unlink(missing_ok=True)
    return checkpoint


def fitted_forecaster(
    config: TrainingConfig,
    bars_by_ticker: Mapping[str, BarArrays],
    parts: Parts,
    *,
    progress: "Callable[[Progress], None] | None" = None,
) -> NetworkForecaster:
    """Train and calibrate on ``parts`` as ``train`` does, and write nothing: what tuning scores on later days.

    Raises
    ------
    TooFewPairsError : a part of the data is empty.
    """
    return _calibrated(_fit(config, parts, gather(config, bars_by_ticker, parts), None, progress, None))


@dataclass(frozen=True)
class _Trained:
    """A fitted, calibrated network and what it was fitted on.

    Attributes
    ----------
    sample : windows of the training part.
    keras_network, trees : the members; ``network`` is their average.
    """

    config: TrainingConfig
    parts: Parts
    data: TrainingData
    sample: Windows
    scaler: Scaler
    keras_network: Any
    trees: bytes | None
    network: Any
    weights_sha256: str
    fitted: "Fitted"
    offsets: FloatArray


def _fit(
    config: TrainingConfig,
    parts: Parts,
    data: TrainingData,
    run: Run | None,
    progress: "Callable[[Progress], None] | None",
    parent: "Parent | None",
) -> _Trained:
    """Scaler and network from the training part, stopping by the validation part, offsets from the calibration part."""
    make_deterministic(config.seed)
    # TensorFlow takes seconds to import: whatever can be refused has been refused by now.
    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.models.weights import network_sha256
    from ml_lifecycle.training.device import require_gpu_where_seen
    from ml_lifecycle.training.fitting import fit

    train_pairs, calibration = data.pairs["train"], data.pairs["calibration"]
    sample = data.series.windows(sample_rows(train_pairs))
    scaler = parent.scaler if parent else training_scaler(config, data)
    networks = build_network(config, unconditional_quantiles(train_pairs, config))
    require_gpu_where_seen(networks.served)
    if parent:
        parent.give_weights(networks.served)
    fitted = fit(config, networks, data, scaler, run=run, progress=progress)
    # A few tickers' own windows are too few for trees of their own: the parent's stay.
    trees = parent.trees() if parent else _scale_trees(config, data, scaler) if config.tree_share else None
    network = averaged(networks.served, trees, config)
    heads = scaled_quantiles(network, data.series, calibration.rows, scaler)
    quantiles = long_run_averaged(config, data, calibration.rows, heads)
    return _Trained(
        config=config,
        parts=parts,
        data=data,
        sample=sample,
        scaler=scaler,
        keras_network=networks.served,
        trees=trees,
        network=network,
        weights_sha256=network_sha256(networks.served),
        fitted=fitted,
        offsets=believed_offsets(
            conformal_offsets(calibration.targets.astype(np.float64), quantiles, config.levels),
            config.horizons,
            n_days=data.calibration_days,
        ),
    )


def _scale_trees(config: TrainingConfig, data: TrainingData, scaler: Scaler) -> bytes:
    """Boosted trees from the training part, as the ONNX graph that will serve them."""
    from ml_lifecycle.export.scale_trees_graph import scale_trees_graph
    from ml_lifecycle.models.scale_trees import fit_scale_trees

    train_pairs = data.pairs["train"]
    learnt = fit_scale_trees(
        scaler.context.apply(data.series.context[train_pairs.rows]),
        train_pairs.targets,
        horizons=config.horizons,
        levels=config.levels,
        seed=config.seed,
    )
    spec = config.input_spec
    n_columns, n_context = len(spec.columns), len(spec.context_columns)
    return scale_trees_graph(learnt, lookback=spec.lookback, n_columns=n_columns, n_context=n_context)


def _reference(trained: _Trained, parent: "Parent | None") -> list[ColumnDistribution]:
    """A fine-tuned network still answers for all of its parent's tickers: drift is measured from what those were."""
    if parent:
        return list(parent.reference_distribution)
    return reference_distribution(trained.config, trained.sample)


def _adaptive(trained: _Trained, bars_by_ticker: Mapping[str, BarArrays]) -> AdaptiveChoice:
    tickers = trained.data.tickers
    return measure_adaptive(trained.config, bars_by_ticker, tickers, trained.parts, trained.network, trained.scaler)


def _test_scores(trained: _Trained, bars_by_ticker: Mapping[str, BarArrays]) -> EvaluationTable | None:
    """Scores after ``calibration_end``; None where no outcome comes after it."""
    config = trained.config
    known = {ticker: bars_by_ticker[ticker] for ticker in trained.data.tickers}
    days = cutoff_days(known, after=trained.parts.calibration_end, every=config.every_days)
    try:
        return evaluate(_calibrated(trained), known, days, horizons=config.horizons)
    except NothingToEvaluateError:
        return None


def _calibrated(trained: _Trained) -> NetworkForecaster:
    config = trained.config
    return NetworkForecaster(
        trained.network,
        config.input_spec,
        trained.scaler,
        horizons=config.horizons,
        levels=config.levels,
        offsets=trained.offsets,
        long_run_shares=config.long_run_shares,
    )


def _golden(trained: _Trained, bars_by_ticker: Mapping[str, BarArrays]) -> GoldenExample:
    """The last window before ``calibration_end`` of the first piece of bars that has one."""
    spec = trained.config.input_spec
    until = ((ticker, bars_by_ticker[ticker].until(trained.parts.calibration_end)) for ticker in trained.data.tickers)
    pieces = ((ticker, piece) for ticker, bars in until for piece in bars.pieces())
    ticker, bars = next((ticker, piece) for ticker, piece in pieces if len(piece) >= spec.history_needed)
    window, context, scale = latest_window(bars, spec)
    scaled_window, scaled_context = trained.scaler.apply(window, context)
    return GoldenExample(
        ticker=ticker,
        bars=GoldenExample.listed(bars.last(spec.history_needed)),
        window=scaled_window.tolist(),
        context=scaled_context.tolist(),
        scale=scale,
        answer=answer_one(trained.network, scaled_window, scaled_context).tolist(),
    )


def _market_universe(config: TrainingConfig, universes: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """The universes that the network reads: all that there are, or none where it reads no market column."""
    if not config.input_spec.market_bars:
        return {}
    if not universes:
        raise ConfigurationError("the network reads the market, but no exchange has a universe: see docs/data.md")
    return {exchange: tuple(sorted(tickers)) for exchange, tickers in sorted(universes.items())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on bars of a store; the exit code is 0, or 3 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ml_lifecycle.training.train", description="Train a network.")
    parser.add_argument("--store", required=True, help="folder or s3:// address of the bars")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--config", default="default", help="YAML file, or 'default' or 'demo'")
    parser.add_argument("--columns", metavar="MODULE", help="input columns of one's own: a file or an importable name")
    parser.add_argument("--tickers", nargs="+", help="tickers to train on; all that are stored if left out")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in --out")
    parser.add_argument("--save-every", type=float, default=SAVE_EVERY_SECONDS, help="seconds a killed run may lose")
    told = parser.parse_args(arguments)
    try:
        checkpoint = _train_from_store(told)
    except ClosecastError as error:
        sys.stderr.write(f"{error}\n")
        return DATA_ERROR
    sys.stdout.write(f"{checkpoint.folder}\n")
    return 0


def _train_from_store(told: argparse.Namespace) -> Checkpoint:
    from data_pipeline.storage.feature_store import FeatureStore

    store = FeatureStore(told.store)
    with held_run_folder(told.out) as folder:
        return train(
            load_config(told.config, own=OwnColumns.of(told.columns) if told.columns else None),
            store.read_many_bar_arrays(told.tickers),
            data_version=store.version(),
            out_dir=folder,
            universes=store.market.universes(store.version().version),
            progress=_tell,
            resume=told.resume,
            save_every_seconds=told.save_every,
        )


def _tell(done: "Progress") -> None:
    sys.stderr.write(
        f"batch {done.batches} of at most {done.total}: validation loss {done.validation_loss:.5f}, "
        f"best {done.best_loss:.5f}, {done.windows_per_second:,.0f} windows/s\n"
    )


if __name__ == "__main__":
    sys.exit(main())
