"""Whether the whole way works here: sample bars, a small network, its bundle, a forecast; nothing of it is kept."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from app.config import Settings
    from app.features.training.kinds import Emit

TICKERS: Final = ("IBM", "MSFT")
CONFIG: Final = {
    "name": "smoke",
    "lookback": 20,
    "hidden_size": 4,
    "every_days": 20,
    "epochs": 1,
    "validate_every": 5,
    "gate_days": 0,
}


def try_whole_way(settings: Settings, emit: Emit) -> dict[str, Any]:
    """Collect, train, export and forecast in a temporary folder; the caller's store and database are not touched.

    Raises
    ------
    ClosecastError : of the step that does not work.
    """
    started = time.monotonic()
    with TemporaryDirectory(prefix="closecast-smoke-") as folder:
        apart = {"home": Path(folder), "database_url": None, "store_uri": None, "bundle_dir": None, "tracking": False}
        elsewhere = settings.model_copy(update=apart)
        bundle, median = _walk(elsewhere, emit)
    return {"tickers": list(TICKERS), "bundle": bundle, "median": median, "seconds": time.monotonic() - started}


def _walk(settings: Settings, emit: Emit) -> tuple[str, float]:
    """Id of the bundle, and the median close that it forecasts for the first ticker one trading day ahead."""
    import numpy as np

    from app.features.training.run_train import run
    from data_pipeline.run_pipeline import collect
    from data_pipeline.sources.sample_source import SampleSource
    from data_pipeline.storage.feature_store import FeatureStore
    from ml_lifecycle.export.bundle import load_bundle
    from ml_lifecycle.export.forecaster import BundleForecaster

    emit.log(f"storing the sample bars of {', '.join(TICKERS)}")
    store = FeatureStore(settings.bars_uri)
    collect(store, SampleSource(), TICKERS)
    trained = run(settings, {"content": CONFIG, "tickers": TICKERS}, emit)
    bundle = load_bundle(Path(trained["folder"]))
    bars = store.read_many_bar_arrays([TICKERS[0]])[TICKERS[0]]
    levels = bundle.manifest.quantile_levels
    forecast = BundleForecaster(bundle).forecast(bars)
    median = float(bars.close[-1] * np.exp(forecast.log_returns[0, levels.index(0.5)]))
    emit.log(f"forecast {TICKERS[0]}: {median:.2f} where it last closed at {bars.close[-1]:.2f}")
    return bundle.bundle_id, median
