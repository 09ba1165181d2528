"""The same store on an S3-compatible server (moto's), over HTTP."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import boto3
import pytest

from data_pipeline.errors import StoreUnavailableError
from data_pipeline.run_pipeline import Outcome, collect
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import NOW, MemorySource, first_days, make_bars, make_fetched
from tests.data_pipeline.storage.two_writers import assert_nothing_was_lost, run_writers

URI = "s3://closecast/bars"


@pytest.fixture(scope="module")
def object_store() -> Iterator[dict[str, str]]:
    """Options that reach a bucket of a server of our own, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_until_listening(port, server)
    endpoint, key, secret = f"http://127.0.0.1:{port}", "made-up-key", "made-up-secret"
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
    server.terminate()
    server.wait(60)


def _wait_until_listening(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("moto's server did not start")


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
