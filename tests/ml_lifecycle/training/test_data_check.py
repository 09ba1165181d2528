"""What `closecast data check` must find: each fault is planted and has to be told."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, IntArray, PreparedSeries, make_targets, prepare_series
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.training import data_check
from ml_lifecycle.training.config import load_config

CONFIG = load_config("demo")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """One ticker of the sample."""
    store = FeatureStore(tmp_path_factory.mktemp("bars"))
    collect(store, SampleSource(), ["AAPL"])
    return store


def faults(store: FeatureStore) -> str:
    """All faults in one text."""
    return "\n".join(data_check.check_data(store, CONFIG).faults)


def test_sound_bars_have_no_fault(store: FeatureStore) -> None:
    assert faults(store) == ""


def test_a_target_of_another_day_is_told(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_bar_late(adj_close: FloatArray, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        return make_targets(adj_close, ends + 1, horizons)

    monkeypatch.setattr(data_check, "make_targets", one_bar_late)

    assert "is not what its returns sum to" in faults(store)


def test_a_window_that_sees_the_next_bar_is_told(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def looking_ahead(bars: BarArrays, spec: InputSpec) -> PreparedSeries:
        sound = prepare_series(bars, spec)
        return PreparedSeries(spec, np.roll(sound.columns, -1, axis=0), sound.context, sound.scale)

    monkeypatch.setattr(data_check, "prepare_series", looking_ahead)

    assert "is another one without the bars after it" in faults(store)


def test_a_window_of_another_shape_or_type_is_told(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_float32(bars: BarArrays, spec: InputSpec) -> PreparedSeries:
        sound = prepare_series(bars, spec)
        return PreparedSeries(spec, sound.columns.astype(np.float32), sound.context, sound.scale.astype(np.float32))

    monkeypatch.setattr(data_check, "prepare_series", of_float32)

    assert "float64 of shape" in faults(store)


def test_bars_that_are_none_are_told() -> None:
    days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]")
    ones = np.ones(4)
    bars = BarArrays(
        trading_day=days[[0, 2, 1, 3]],
        open=ones,
        high=ones,
        low=ones + 1.0,
        close=np.array([1.0, np.nan, 1.0, 1.0]),
        adj_close=np.array([1.0, -1.0, 1.0, 1.0]),
        volume=np.array([1.0, -1.0, 1.0, 1.0]),
    )

    told = " ".join(data_check._bar_faults(bars))

    for expected in ("do not ascend", "close: not", "adj_close: not", "volume:", "a high is below its low"):
        assert expected in told


def test_a_ticker_too_short_for_a_window_is_named_and_no_fault(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    collect(store, SampleSource(), ["AAPL"], end=date(2000, 6, 1))

    found = data_check.check_data(store, CONFIG)

    assert (found.short, found.faults, found.n_windows) == (("AAPL",), (), 0)
