"""One of several writers: ``python -m tests.data_pipeline.storage.writer URI NAME N_RUNS``.

Options of the object store come from the environment. Each run stores one day of a ticker of its own and of one that
all writers share.
"""

import json
import os
import sys

import polars as pl

from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import first_days
from tests.data_pipeline.storage.rows import make_rows

SHARED_TICKER = "SHARED"


def write(uri: str, name: str, n_runs: int) -> None:
    """Merge ``n_runs`` times."""
    store = FeatureStore(uri, json.loads(os.environ.get("STORE_OPTIONS", "{}")))
    for number, day in enumerate(first_days(n_runs)):
        own = make_rows(f"{name}{number}", [day], [20.0 + number])
        store.merge(pl.concat([own, make_rows(SHARED_TICKER, [day], [10.0 + number])]))


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
