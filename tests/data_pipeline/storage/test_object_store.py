"""The same store on an S3-compatible server (moto's), over HTTP."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from data_pipeline.errors import StoreUnavailableError
from data_pipeline.run_pipeline import Outcome, collect
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import NOW, MemorySource, first_days, make_bars, make_fetched
from tests.data_pipeline.storage.two_writers import assert_nothing_was_lost, run_writers

URI = "s3://closecast/bars"


@pytest.fixture(scope="module")
def object_store() -> Iterator[dict[str, str]]:
    """Options that reach a bucket of a server of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint, key, secret = f"http://{host}:{port}", "made-up-key", "made-up-secret"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )
    client.create_bucket(Bucket="closecast")
    yield {
        "aws_endpoint_url": endpoint,
        "aws_allow_http": "true",
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "aws_region": "us-east-1",
    }
    server.stop()


def test_bars_are_collected_into_a_bucket_and_read_back(object_store: dict[str, str]) -> None:
    store = FeatureStore(f"{URI}/collected", object_store)
    source = MemorySource({"AAA": make_fetched(make_bars(first_days(30)))})

    first = collect(store, source, now=NOW)
    again = collect(store, source, now=NOW)

    assert [result.outcome for result in (*first.results, *again.results)] == [Outcome.ADDED, Outcome.UNCHANGED]
    assert len(store.read_bar_arrays("AAA", version=1)) == 30
    assert store.quality.read()[0].rows_out == 30


def test_two_processes_write_one_bucket_at_once(object_store: dict[str, str]) -> None:
    run_writers(f"{URI}/shared", "AB", n_runs=4, options=object_store)

    assert_nothing_was_lost(FeatureStore(f"{URI}/shared", object_store), "AB", n_runs=4)


def test_a_bucket_that_is_not_there_is_named(object_store: dict[str, str]) -> None:
    options = {**object_store, "aws_endpoint_url": "http://127.0.0.1:9", "max_retries": "0", "retry_timeout": "1s"}

    with pytest.raises(StoreUnavailableError):
        FeatureStore(URI, options).series()
