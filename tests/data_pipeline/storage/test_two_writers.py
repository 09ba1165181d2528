"""Two processes that write at once lose nothing and double nothing."""

from pathlib import Path

from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.storage.two_writers import assert_nothing_was_lost, run_writers


def test_two_processes_write_one_folder_at_once(tmp_path: Path) -> None:
    """They meet from the making of the table on: both store the same ticker's same days, and tickers of their own."""
    run_writers(str(tmp_path), "AB", n_runs=6)

    assert_nothing_was_lost(FeatureStore(tmp_path), "AB", n_runs=6)
