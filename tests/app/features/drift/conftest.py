"""A store with two data versions of real bars, and a network that knows its training."""

from datetime import date
from pathlib import Path

import pytest

from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore

TICKERS = ["AAPL", "IBM", "MSFT"]


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample up to the end of 2011, and then all of it."""
    store = FeatureStore(tmp_path_factory.mktemp("bars"))
    for end in (date(2012, 1, 1), None):
        summary = collect(store, SampleSource(), TICKERS, end=end)
        assert not summary.failed
    return Path(store.uri)
