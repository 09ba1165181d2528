"""The reference bundle: the naive centre with the spread of the last 1,000 days, champion until something beats it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import InputKind
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, HISTORY_USED, naive_quantiles
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.conformal import ADAPTIVE_STEP, AdaptiveStart, Calibration, nominal_alphas
from ml_lifecycle.export.folder import CALIBRATION
from ml_lifecycle.export.manifest import HORIZONS, LEVELS, BundleKind, GoldenWindow, Manifest
from ml_lifecycle.export.writing import write_bundle


def write_reference_bundle(bundles_dir: Path) -> Path:
    """Write the reference bundle, or find it there; NumPy is all it takes. Gives its folder."""
    calibration = Calibration(
        offsets=((0.0,) * len(LEVELS),) * len(HORIZONS),
        adaptive=AdaptiveStart(alphas=nominal_alphas(LEVELS), step=ADAPTIVE_STEP),
    )
    bars = chirp_bars(HISTORY_NEEDED)
    manifest = Manifest(
        kind=BundleKind.REFERENCE,
        created_at=datetime.now(UTC),
        files={},
        history_needed=HISTORY_NEEDED,
        history_used=HISTORY_USED,
        input_kind=InputKind.CLOSES,
        # Rounded, so that the last bit of one machine's arithmetic does not give the same bundle another name.
        golden=GoldenWindow.of(bars, naive_quantiles(bars, LEVELS).round(9)),
    )
    return write_bundle(bundles_dir, {CALIBRATION: canonical_json(calibration.model_dump(mode="json"))}, manifest)


def chirp_bars(n_bars: int) -> BarArrays:
    """Made-up bars that wander like prices and are the same everywhere: no market's data, no random generator."""
    k = np.arange(n_bars, dtype=np.float64)
    close = (100.0 * np.exp(np.cumsum(0.015 * np.sin(0.7 * k**2)))).round(2)
    opened = (close * (1.0 + 0.004 * np.cos(k))).round(2)
    high, low = (np.maximum(opened, close) * 1.006).round(2), (np.minimum(opened, close) * 0.994).round(2)
    return BarArrays(
        trading_day=np.datetime64("2000-01-03", "D") + np.arange(n_bars),
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=close,
        volume=(1e6 * (1.2 + np.sin(k))).round(0),
    )
