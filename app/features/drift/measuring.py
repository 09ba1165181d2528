"""Holds recent inputs, live errors and live coverage against what they were. Worker and command line only."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.config import Settings
from app.features.drift.drift_spec import DriftSpec
from app.features.drift.live_days import LEVELS, LiveDays
from app.features.registry.folders import find_bundle
from data_pipeline.errors import ConfigurationError, NothingStoredError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.storage.snapshot import Snapshot
from ml_lifecycle.export.canonical_json import parse_json_object
from ml_lifecycle.export.folder import DRIFT_REFERENCE, read_bundle_folder
from ml_lifecycle.monitoring.column_drift import (
    ColumnFinding,
    ColumnSample,
    TrainingColumns,
    compare_samples,
    compare_with_training,
)
from ml_lifecycle.monitoring.error_drift import CoverageDrift, ErrorDrift, coverage_drift, error_drift
from ml_lifecycle.monitoring.recommendation import Recommendation, recommend
from ml_lifecycle.training.config import load_config

MOST_TICKERS = 200  # more of one market say hardly more, and cost memory
WITHOUT_BUNDLE = "default"  # the packaged configuration whose columns are compared where no network is named

Progress = Callable[[int, int, str], None]  # done, total, the ticker just done


@dataclass(frozen=True)
class Measured:
    """One comparison with its verdict; see ``app.models.drift.DriftReport``."""

    bundle_id: str | None
    reference_version: int | None
    production_version: int
    days: int
    tickers: tuple[str, ...]
    columns: list[ColumnFinding]
    error: ErrorDrift | None
    coverage: list[CoverageDrift]
    recommendation: Recommendation


@dataclass(frozen=True)
class _Network:
    """What is asked of a bundle: its inputs, and how they were spread in training."""

    bundle_id: str | None
    spec: InputSpec
    training: TrainingColumns | None


def measure(settings: Settings, asked: DriftSpec, live: LiveDays | None = None, *, tell: Progress) -> Measured:
    """Compare as ``asked``; ``live`` are the scored days of the bundle's live forecasts, where there is a database.

    Raises
    ------
    ConfigurationError : no such bundle, or one that knows no training distribution and no version to compare with.
    BundleRefusedError, NothingStoredError, UnknownDataVersionError, TooFewDaysError
    """
    network = _network(settings, asked)
    store = FeatureStore(settings.bars_uri, settings.store_options)
    newer = store.at(asked.production_version)
    if newer.version is None:
        raise NothingStoredError
    tickers = _tickers(newer, asked.tickers)
    production = _sample(newer, tickers, network.spec, asked.days, tell)
    if asked.reference_version is not None:
        columns = compare_samples(
            _sample(store.at(asked.reference_version), tickers, network.spec, asked.days, tell), production
        )
    elif network.training is not None:
        columns = compare_with_training(network.training, production)
    else:
        raise ConfigurationError("no training distribution to compare with: name a network's bundle, or two versions")
    error, coverage = _live_drift(live)
    return Measured(
        bundle_id=network.bundle_id,
        reference_version=asked.reference_version,
        production_version=newer.version,
        days=asked.days,
        tickers=tuple(tickers),
        columns=columns,
        error=error,
        coverage=coverage,
        recommendation=recommend(columns, error, coverage),
    )


def _network(settings: Settings, asked: DriftSpec) -> _Network:
    if asked.bundle is None:
        return _Network(None, load_config(WITHOUT_BUNDLE).input_spec, None)
    files = read_bundle_folder(find_bundle(settings, asked.bundle))
    if files.manifest.input_spec is None:  # the reference reads no columns
        return _Network(files.bundle_id, load_config(WITHOUT_BUNDLE).input_spec, None)
    content = parse_json_object(files.contents[DRIFT_REFERENCE], name=DRIFT_REFERENCE)
    return _Network(files.bundle_id, files.manifest.input_spec, TrainingColumns.from_dict(content))


def _tickers(snapshot: Snapshot, wanted: Sequence[str]) -> list[str]:
    """Those asked for, or the stored ones, evenly thinned.

    Raises
    ------
    NothingStoredError : one of ``wanted`` is not stored.
    """
    stored = [series.ticker for series in snapshot.series()]
    if absent := sorted(set(wanted) - set(stored)):
        raise NothingStoredError(absent[0])
    chosen = list(dict.fromkeys(wanted)) or stored
    places = np.unique(np.linspace(0, len(chosen) - 1, min(MOST_TICKERS, len(chosen))).astype(int))
    return [chosen[place] for place in places.tolist()]


def _sample(snapshot: Snapshot, tickers: Sequence[str], spec: InputSpec, days: int, tell: Progress) -> ColumnSample:
    def told() -> Iterator[tuple[str, BarArrays]]:
        for done, (ticker, bars) in enumerate(snapshot.iterate_bar_arrays(tickers), start=1):
            yield ticker, bars
            tell(done, len(tickers), ticker)

    return ColumnSample.of(told(), spec, days=days, which=f"data version {snapshot.version}")


def _live_drift(live: LiveDays | None) -> tuple[ErrorDrift | None, list[CoverageDrift]]:
    if live is None or not len(live.days):
        return None, []
    return error_drift(live.days, live.relative_errors), coverage_drift(live.inside, live.forecasts, LEVELS)
