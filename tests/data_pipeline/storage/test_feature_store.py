"""Bars in versions: one commit per merge, of changed rows only, readable for as long as they are kept."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import stamina
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_pipeline.errors import (
    NothingStoredError,
    StoreConflictError,
    StoreUnavailableError,
    UnknownDataVersionError,
)
from data_pipeline.sources.base import PriceBasis
from data_pipeline.storage import feature_store
from data_pipeline.storage.bar_table import N_BUCKETS, content_digest, ticker_bucket
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import first_days
from tests.data_pipeline.storage.rows import make_rows

DAYS = first_days(8)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store in which nothing is stored yet."""
    return FeatureStore(tmp_path / "a store")


def log_of(store: FeatureStore) -> list[dict[str, str]]:
    """Metrics of each merge, newest first."""
    history = DeltaTable(f"{store.uri}/bars").history()
    return [entry["operationMetrics"] for entry in history if entry["operation"] == "MERGE"]


def test_an_empty_store_says_so(store: FeatureStore) -> None:
    assert (store.series(), store.versions(), store.read_ticker("AAA")) == ([], [], None)
    for read in (store.version, store.read_many_bar_arrays, lambda: store.read_bar_arrays("AAA"), lambda: store.at(3)):
        with pytest.raises(NothingStoredError):
            read()


def test_what_was_stored_is_read_back(store: FeatureStore) -> None:
    store.merge(make_rows("AAA", DAYS, [1, 2, 3, 4, 5, 6, 7, 8]))

    frame, arrays = store.read_ticker("AAA"), store.read_bar_arrays("AAA")

    assert frame is not None
    assert frame["close"].tolist() == arrays.close.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [day.date() for day in frame.index] == arrays.trading_day.tolist() == DAYS
    assert frame["source"].unique().tolist() == ["memory"]
    assert frame["collected_at"].iloc[0] == datetime(2024, 12, 31, 12, tzinfo=UTC)


def test_a_range_begins_with_its_first_day_and_leaves_out_its_end(store: FeatureStore) -> None:
    store.merge(make_rows("AAA", DAYS))

    frame = store.read_ticker("AAA", start=DAYS[2], end=DAYS[4])

    assert frame is not None
    assert [day.date() for day in frame.index] == DAYS[2:4]
    assert store.read_bar_arrays("AAA", start=DAYS[2], end=DAYS[4]).trading_day.tolist() == DAYS[2:4]


def test_series_tell_what_is_stored(store: FeatureStore) -> None:
    store.merge(pl.concat([make_rows("BBB.SA", DAYS[:3], exchange="BVMF"), make_rows("AAA", DAYS)]))

    first, second = store.series()

    assert (first.ticker, first.exchange, first.first_day, first.last_day, first.n_bars) == (
        "AAA",
        "XNYS",
        DAYS[0],
        DAYS[7],
        8,
    )
    assert (second.ticker, second.exchange, second.price_basis, second.n_bars) == (
        "BBB.SA",
        "BVMF",
        PriceBasis.SPLIT_ADJUSTED,
        3,
    )


def test_many_tickers_come_in_one_call_each_with_its_own_bars(store: FeatureStore) -> None:
    names = [f"T{number}" for number in range(2 * N_BUCKETS)]
    store.merge(pl.concat([make_rows(name, DAYS, np.arange(8) + 10.0 * n + 1) for n, name in enumerate(names)]))

    everything = store.read_many_bar_arrays()

    assert list(everything) == sorted(names)
    assert everything["T7"].close.tolist() == [71, 72, 73, 74, 75, 76, 77, 78]
    assert list(store.read_many_bar_arrays(["T7", "T3"])) == ["T3", "T7"]
    with pytest.raises(NothingStoredError, match="ZZZ"):
        store.read_many_bar_arrays(["T7", "ZZZ"])


def test_an_earlier_version_is_read_as_it_was(store: FeatureStore) -> None:
    first = store.merge(make_rows("AAA", DAYS[:4], [1, 2, 3, 4]))
    second = store.merge(make_rows("AAA", DAYS[3:6], [4.5, 5, 6]))

    assert store.read_bar_arrays("AAA", first.version).close.tolist() == [1, 2, 3, 4]
    assert store.read_bar_arrays("AAA", second.version).close.tolist() == [1, 2, 3, 4.5, 5, 6]
    assert store.versions() == [first, second]
    assert store.version(first.version) == first
    assert first.table_id == second.table_id


def test_a_merge_writes_one_version_of_changed_rows_only(store: FeatureStore) -> None:
    before = store.merge(pl.concat([make_rows("AAA", DAYS), make_rows("MSFT", DAYS)]))

    after = store.merge(pl.concat([make_rows("AAA", DAYS, [10.0] * 7 + [99.0]), make_rows("MSFT", DAYS)]))

    metrics = log_of(store)[0]
    assert after.version == before.version + 1
    assert int(metrics["num_source_rows"]) == 7  # of AAA; its first close was 10.0 before, too
    assert ticker_bucket("AAA") != ticker_bucket("MSFT")
    assert int(metrics["num_target_files_removed"]) == 1  # the file of MSFT's bucket was not touched


def test_the_same_bars_again_are_no_new_version(store: FeatureStore) -> None:
    before = store.merge(make_rows("AAA", DAYS))

    assert store.merge(make_rows("AAA", DAYS)) == before


def test_a_difference_of_rounding_is_no_change(store: FeatureStore) -> None:
    """Yahoo's numbers pass through float32 now and then: 6e-8 apart is the same price."""
    before = store.merge(make_rows("AAA", DAYS, [10.0] * 8))

    assert store.merge(make_rows("AAA", DAYS, [10.0 * (1 + 1e-7)] * 8)) == before
    assert store.merge(make_rows("AAA", DAYS, [10.0 * (1 + 1e-5)] * 8)) != before


def test_a_replaced_history_goes_and_comes_in_one_version(store: FeatureStore) -> None:
    before = store.merge(pl.concat([make_rows("AAA", DAYS), make_rows("BBB", DAYS)]))

    raw = make_rows("AAA", DAYS[2:5], [7, 8, 9], price_basis=PriceBasis.RAW, source="other")
    after = store.merge(raw, replaced=["AAA"])

    assert after.version == before.version + 1
    assert store.read_bar_arrays("AAA").trading_day.tolist() == DAYS[2:5]
    assert store.read_bar_arrays("AAA").close.tolist() == [7, 8, 9]
    assert len(store.read_bar_arrays("BBB")) == 8
    assert [series.source for series in store.series()] == ["other", "memory"]


def test_a_ticker_that_moves_to_another_exchange_leaves_nothing_behind(store: FeatureStore) -> None:
    store.merge(make_rows("AAA", DAYS))

    store.merge(make_rows("AAA", DAYS, exchange="XTSE"), replaced=["AAA"])

    assert [(series.exchange, series.n_bars) for series in store.series()] == [("XTSE", 8)]


@pytest.mark.parametrize("change", [{"source": "other"}, {"price_basis": PriceBasis.RAW}, {"exchange": "XTSE"}])
def test_two_sources_or_bases_never_meet_in_one_series(store: FeatureStore, change: dict[str, str]) -> None:
    before = store.merge(make_rows("AAA", DAYS[:4]))

    with pytest.raises(StoreConflictError, match="AAA"):
        store.merge(make_rows("AAA", DAYS[4:], **change))  # type: ignore[arg-type]  # the keys are its keywords

    assert store.version() == before


def test_a_run_that_loses_every_race_says_so(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.merge(make_rows("AAA", DAYS[:4]))
    tries: list[int] = []

    def lose(*_: object) -> None:
        tries.append(1)
        raise CommitFailedError("a concurrent transaction added new data")

    monkeypatch.setattr(feature_store, "_execute_merge", lose)
    stamina.set_testing(True, attempts=3)
    try:
        with pytest.raises(StoreConflictError, match="AAA"):
            store.merge(make_rows("AAA", DAYS))
    finally:
        stamina.set_testing(False)

    assert (len(tries), store.version()) == (3, before)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file stands where the table should")

    with pytest.raises(StoreUnavailableError):
        FeatureStore(tmp_path).merge(make_rows("AAA", DAYS))


def test_a_table_that_stopped_being_writable_is_told_too(store: FeatureStore) -> None:
    """delta-rs has no class of its own for this error."""
    store.merge(make_rows("AAA", DAYS))
    (folder,) = Path(store.uri).glob("bars/exchange=*/*")
    folder.with_name(f"ticker_bucket={ticker_bucket('AAPL')}").touch(exist_ok=False)

    with pytest.raises(StoreUnavailableError):
        store.merge(make_rows("AAPL", DAYS))


def test_rows_are_removed_for_replaced_tickers_only(store: FeatureStore) -> None:
    store.merge(pl.concat([make_rows("AAA", DAYS), make_rows("BBB", DAYS)]))

    store.merge(pl.concat([make_rows("AAA", DAYS[:2]), make_rows("BBB", DAYS[:2])]), replaced=["BBB"])

    assert [series.n_bars for series in store.series()] == [8, 2]


def test_a_digest_is_that_of_the_content_and_of_nothing_else(tmp_path: Path) -> None:
    """Neither the order of writing nor the number of versions nor the time of collection matters."""
    aaa, bbb = make_rows("AAA", DAYS), make_rows("BBB", DAYS)
    later = bbb.with_columns(collected_at=pl.lit(datetime(2025, 5, 5, tzinfo=UTC)).cast(bbb.schema["collected_at"]))
    one = FeatureStore(tmp_path / "one").merge(pl.concat([aaa, bbb]))
    other_store = FeatureStore(tmp_path / "other")
    other_store.merge(later)
    other = other_store.merge(aaa)

    assert one.content_sha256 == other.content_sha256
    assert one.table_id != other.table_id


@pytest.mark.parametrize("column", ["close", "volume", "split", "trading_day", "price_basis", "source", "currency"])
def test_every_value_counts_for_the_digest(column: str) -> None:
    rows = make_rows("AAA", DAYS)
    value = (
        pl.lit("x")
        if rows.schema[column] == pl.String
        else pl.col(column) + (timedelta(days=1) if rows.schema[column] == pl.Date else 1)
    )

    assert content_digest(rows.with_columns(value.alias(column))) != content_digest(rows)


def test_a_version_without_noted_digest_has_it_computed(store: FeatureStore) -> None:
    """A run that dies between the bars and the digest leaves a version that can be named all the same."""
    noted = store.merge(make_rows("AAA", DAYS))
    DeltaTable(f"{store.uri}/versions").delete()

    assert store.version() == noted


def test_a_version_that_never_was_is_refused(store: FeatureStore) -> None:
    store.merge(make_rows("AAA", DAYS))

    with pytest.raises(UnknownDataVersionError, match="99"):
        store.version(99)


def test_vacuum_keeps_the_versions_that_are_named(store: FeatureStore) -> None:
    versions = [store.merge(make_rows("AAA", DAYS, [price] * 8)) for price in (1.0, 2.0, 3.0)]

    deleted = store.vacuum([versions[1].version], retention=timedelta(0))

    assert len(deleted) == 1
    assert store.read_bar_arrays("AAA", versions[1].version).close[0] == 2.0
    assert store.read_bar_arrays("AAA").close[0] == 3.0
    with pytest.raises(UnknownDataVersionError):
        store.read_bar_arrays("AAA", versions[0].version)


def test_vacuum_leaves_young_files_to_readers_under_way(store: FeatureStore) -> None:
    for price in (1.0, 2.0):
        store.merge(make_rows("AAA", DAYS, [price] * 8))

    assert store.vacuum([]) == []


def test_vacuum_of_an_empty_store_does_nothing(store: FeatureStore) -> None:
    assert store.vacuum([]) == []


def test_old_versions_outlive_the_logs_default_of_thirty_days(store: FeatureStore) -> None:
    store.merge(make_rows("AAA", [date(2024, 1, 2)]))

    configuration = DeltaTable(f"{store.uri}/bars").metadata().configuration
    assert configuration["delta.logRetentionDuration"] == "interval 36500 days"
    assert configuration["delta.enableExpiredLogCleanup"] == "false"


def test_a_ticker_has_its_bucket_for_good() -> None:
    """The bucket is part of where a bar lies: if it moved, merges would double the bar."""
    assert [ticker_bucket(ticker) for ticker in ("AAPL", "PETR4.SA", "^GSPC")] == [12, 6, 4]
