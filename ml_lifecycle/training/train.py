"""Train a network: bars in, a checkpoint folder out that an export can turn into a bundle."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import latest_window
from data_pipeline.processing.scaler import Scaler, fit_scaler
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.calibration import conformal_offsets
from ml_lifecycle.evaluation.evaluate import EvaluationTable, NothingToEvaluateError, cutoff_days, evaluate
from ml_lifecycle.evaluation.network_forecaster import NetworkForecaster
from ml_lifecycle.training.checkpoint import (
    CHECKPOINT,
    NETWORK,
    Checkpoint,
    CheckpointContent,
    GoldenExample,
    NamedDataVersion,
    write_checkpoint,
)
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import Parts, part_dates
from ml_lifecycle.training.provenance import git_commit, library_versions
from ml_lifecycle.training.resume_state import STATE, run_digest
from ml_lifecycle.training.training_statistics import (
    reference_distribution,
    sample_rows,
    unconditional_quantiles,
)

if TYPE_CHECKING:
    from ml_lifecycle.training.fitting import Progress


def train(
    config: TrainingConfig,
    bars_by_ticker: Mapping[str, BarArrays],
    *,
    data_version: DataVersion,
    out_dir: Path,
    exchanges: Mapping[str, str] | None = None,
    progress: "Callable[[Progress], None] | None" = None,
    resume: bool = False,
) -> Checkpoint:
    """Train, calibrate, score on the test part, and write the checkpoint folder ``out_dir``.

    The same configuration, data version and seed give the same weights on one machine. The test part is looked at
    once, after everything has been decided.

    Parameters
    ----------
    exchanges : exchange of each ticker, where known; recorded as the universe.
    progress : called after each look at the validation part.
    resume : go on with an unfinished run of the same configuration, data and tickers in ``out_dir``, if there is one.

    Raises
    ------
    TooFewPairsError : a part of the data is empty.
    """
    started = time.monotonic()
    parts = part_dates(config, bars_by_ticker)
    data = gather(config, bars_by_ticker, parts)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / CHECKPOINT).unlink(missing_ok=True)  # while this file is absent the folder counts as unfinished

    # TensorFlow takes seconds to import: whatever can be refused has been refused by now.
    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.models.weights import network_sha256
    from ml_lifecycle.training.determinism import make_deterministic
    from ml_lifecycle.training.fitting import fit, predict

    make_deterministic(config.seed)
    train_pairs, calibration = data.pairs["train"], data.pairs["calibration"]
    sample = data.series.windows(sample_rows(train_pairs))
    scaler = fit_scaler(config.scaler, sample.window, sample.context)
    networks = build_network(config, unconditional_quantiles(train_pairs, config))
    run = run_digest(config, data_version, data.tickers)
    fitted = fit(config, networks, data, scaler, folder=out_dir, run=run, resume=resume, progress=progress)
    network = networks.served
    network.save(out_dir / NETWORK)
    offsets = conformal_offsets(
        calibration.targets.astype(np.float64), predict(network, calibration.rows, data, scaler), config.levels
    )
    forecaster = NetworkForecaster(
        network, config.input_spec, scaler, horizons=config.horizons, levels=config.levels, offsets=offsets
    )
    known = {ticker: bars_by_ticker[ticker] for ticker in data.tickers}
    table = _test_scores(config, forecaster, known, parts)
    content = CheckpointContent(
        created_at=datetime.now(UTC),
        config=config,
        input_spec=config.input_spec,
        scaler=scaler.to_dict(),
        data_version=NamedDataVersion(**asdict(data_version)),
        tickers=data.tickers,
        skipped_tickers=data.skipped,
        market_universe=_universe(data.tickers, exchanges or {}),
        **asdict(parts),
        pairs={name: len(pairs) for name, pairs in data.pairs.items()},
        seed=config.seed,
        git_commit=git_commit(),
        library_versions=library_versions(),
        weights_sha256=network_sha256(network),
        calibration_offsets=offsets.tolist(),
        reference_distribution=reference_distribution(config, sample),
        golden=_golden(config, network, scaler, known, parts),
        history=list(fitted.history),
        best_round=fitted.best_round,
        windows_per_second=fitted.windows_per_second,
        training_seconds=round(time.monotonic() - started, 3),
        scores=[row.to_dict() for row in table.overall] if table else [],
    )
    checkpoint = write_checkpoint(out_dir, content, table.forecasts if table else None)
    (out_dir / STATE).unlink(missing_ok=True)
    return checkpoint


def _test_scores(
    config: TrainingConfig, forecaster: NetworkForecaster, bars_by_ticker: Mapping[str, BarArrays], parts: Parts
) -> EvaluationTable | None:
    """Scores after ``calibration_end``; None where no bar comes after it."""
    days = cutoff_days(bars_by_ticker, after=parts.calibration_end, every=config.every_days)
    try:
        return evaluate(forecaster, bars_by_ticker, days, horizons=config.horizons)
    except NothingToEvaluateError:
        return None


def _golden(
    config: TrainingConfig, network: Any, scaler: Scaler, bars_by_ticker: Mapping[str, BarArrays], parts: Parts
) -> GoldenExample:
    """The last window before ``calibration_end`` of the first ticker that has one."""
    spec = config.input_spec
    until = {ticker: bars.until(parts.calibration_end) for ticker, bars in bars_by_ticker.items()}
    ticker, bars = next((name, bars) for name, bars in until.items() if len(bars) >= spec.history_needed)
    window, context, scale = latest_window(bars, spec)
    scaled_window, scaled_context = scaler.apply(window, context)
    answer = network.predict_on_batch({"window": scaled_window[None], "context": scaled_context[None]})
    return GoldenExample(
        ticker=ticker,
        bars=GoldenExample.listed(bars.last(spec.history_needed)),
        window=scaled_window.tolist(),
        context=scaled_context.tolist(),
        scale=scale,
        answer=answer[0].astype(np.float64).tolist(),
    )


def _universe(tickers: tuple[str, ...], exchanges: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Tickers by exchange, of those whose exchange is known."""
    known = [(exchanges[ticker], ticker) for ticker in tickers if ticker in exchanges]
    return {exchange: tuple(name for place, name in known if place == exchange) for exchange, _ in sorted(known)}
