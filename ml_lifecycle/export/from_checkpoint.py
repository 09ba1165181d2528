"""What a manifest takes over from a checkpoint, file by file and field by field."""

from collections.abc import Mapping

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import latest_window
from data_pipeline.processing.market_columns import BORROWED
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.conformal import ADAPTIVE_STEP, AdaptiveStart, Calibration, nominal_alphas
from ml_lifecycle.export.errors import ExportError
from ml_lifecycle.export.folder import DRIFT_REFERENCE, NETWORK_ONNX, REPORT, SCALER
from ml_lifecycle.export.long_run import long_run_history
from ml_lifecycle.export.manifest import STEPS, BundleKind, GoldenWindow, Manifest, MarketUniverse
from ml_lifecycle.training.checkpoint import TREES, Checkpoint
from ml_lifecycle.training.checkpoint_report import checkpoint_report


def draft_manifest(checkpoint: Checkpoint) -> Manifest:
    """Every field but two: no file is listed yet, and the golden window waits for its answer.

    Raises
    ------
    ExportError : the checkpoint's own inputs can no longer be made from its bars: the input columns have changed.
    """
    content = checkpoint.content
    spec, bars = content.input_spec, content.golden.bar_arrays()
    _require_same_inputs(checkpoint, bars)
    return Manifest(
        kind=BundleKind.NETWORK,
        created_at=content.created_at,  # the network's age: an export does not make it younger
        files={},
        weights_sha256=content.weights_sha256,
        data_version=content.data_version.model_dump(),
        config=content.config.model_dump(mode="json"),
        seed=content.seed,
        git_commit=content.git_commit,
        library_versions=content.library_versions,
        history_needed=spec.history_needed,
        history_used=long_run_history(spec.history_needed, content.config.long_run_shares),
        long_run_shares=content.config.long_run_shares,
        horizons=content.config.horizons,
        quantile_levels=content.config.levels,
        input_columns=spec.columns,
        context_columns=spec.context_columns,
        input_spec=spec,
        input_kind=spec.input_kind,
        market_universe=_market_universe(content.market_universe),
        tickers=tuple(sorted({*content.tickers, *content.parent_tickers})),
        fine_tuned_from=content.fine_tuned_from,
        fine_tuned_tickers=content.tickers if content.fine_tuned_from else (),
        train_start=content.train_start,
        train_end=content.train_end,
        calibration_end=content.calibration_end,
        member_weights=_member_weights(checkpoint),
        golden=GoldenWindow.of(bars, np.zeros((STEPS, len(content.config.levels)))),
        scores=content.scores,
    )


def read_calibration(checkpoint: Checkpoint) -> Calibration:
    """Static offsets as trained; the adaptive state begins where intervals mean what they say."""
    content = checkpoint.content
    start = AdaptiveStart(alphas=nominal_alphas(content.config.levels), step=ADAPTIVE_STEP)
    offsets = tuple(map(tuple, checkpoint.offsets.tolist()))
    return Calibration(offsets=offsets, adaptive=start, adaptive_choice=content.adaptive)


def data_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """``scaler.json``, ``reference.json`` and ``report.html``."""
    columns = [column.model_dump(mode="json") for column in checkpoint.content.reference_distribution]
    return {
        SCALER: canonical_json(checkpoint.scaler.to_dict()),
        DRIFT_REFERENCE: canonical_json({"columns": columns}),
        REPORT: checkpoint_report(checkpoint).encode(),
    }


def _member_weights(checkpoint: Checkpoint) -> dict[str, float]:
    share = checkpoint.content.config.tree_share
    return {NETWORK_ONNX: 1.0 - share, TREES: share} if share else {NETWORK_ONNX: 1.0}


def _require_same_inputs(checkpoint: Checkpoint, bars: BarArrays) -> None:
    golden = checkpoint.content.golden
    window, context, scale = latest_window(bars, checkpoint.content.input_spec)
    scaled_window, scaled_context = checkpoint.scaler.apply(window, context)
    same = (
        np.allclose(scaled_window, golden.window, rtol=1e-5, atol=1e-6)
        and np.allclose(scaled_context, golden.context, rtol=1e-5, atol=1e-6)
        and np.isclose(scale, golden.scale, rtol=1e-6)
    )
    if not same:
        raise ExportError("the input columns are no longer computed as when this network was trained: train again")


def _market_universe(tickers: Mapping[str, tuple[str, ...]]) -> MarketUniverse | None:
    if not tickers:
        return None
    borrowed = {
        exchange: lender for exchange, lender in BORROWED.items() if lender in tickers and exchange not in tickers
    }
    return MarketUniverse(tickers=dict(tickers), borrowed=borrowed)
