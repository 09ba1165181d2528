"""What several writing processes must leave behind, wherever the store lies."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import first_days
from tests.data_pipeline.storage.writer import SHARED_TICKER

ROOT = Path(__file__).parents[3]


def run_writers(uri: str, names: str, n_runs: int, options: Mapping[str, str] | None = None) -> None:
    """Let one process per name write ``n_runs`` times, all at once."""
    environment = {**os.environ, "STORE_OPTIONS": json.dumps(dict(options or {}))}
    command = [sys.executable, "-m", "tests.data_pipeline.storage.writer", uri]
    writers = [
        subprocess.Popen([*command, name, str(n_runs)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    for writer in writers:
        _, complaint = writer.communicate(timeout=400)
        assert writer.returncode == 0, complaint


def assert_nothing_was_lost(store: FeatureStore, names: str, n_runs: int) -> None:
    """Every row of every writer is there, once; every version has the digest of its content."""
    days = first_days(n_runs)
    found = {series.ticker: series for series in store.series()}
    own = {f"{name}{number}" for name in names for number in range(n_runs)}
    assert found.keys() == own | {SHARED_TICKER}
    assert all(found[ticker].n_bars == 1 for ticker in own)
    shared = store.read_bar_arrays(SHARED_TICKER)
    assert shared.trading_day.tolist() == days
    assert shared.close.tolist() == [10.0 + number for number in range(n_runs)]
    versions = store.versions()
    assert versions[-1] == store.version()
    assert {version.content_sha256 for version in versions} == {
        store.at(version.version).content_sha256() for version in versions
    }
