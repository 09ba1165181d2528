"""Versioned daily bars on Delta Lake, in a folder or an object store: what training, backtest and publishing read.

Beside the bars lie small tables that are only ever appended to, each row stamped with the version of the bars that it
speaks about: digests of versions, quality reports, market means.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd
import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_pipeline.errors import NothingStoredError, StoreConflictError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from data_pipeline.storage.bar_table import BAR_TABLE_SCHEMA, KEY, SERIES_COLUMNS, Change, changed_rows
from data_pipeline.storage.delta_table import StoredTable, collect_rows, retry_conflicts
from data_pipeline.storage.market_table import MarketTable
from data_pipeline.storage.quality_table import QualityTable
from data_pipeline.storage.snapshot import SeriesInfo, Snapshot

_VERSION_SCHEMA: Final[dict[str, pl.DataType]] = {"version": pl.Int64(), "content_sha256": pl.String()}
_UPSERTED: Final = f"s.change IN ('{Change.ADDED}', '{Change.REVISED}')"


class FeatureStore:
    """Bars of all tickers, in versions.

    Parameters
    ----------
    uri : folder, or ``s3://bucket/prefix``.
    storage_options : credentials and endpoint of the object store, as object_store names them.
    """

    def __init__(self, uri: str | Path, storage_options: Mapping[str, str] | None = None) -> None:
        self.uri = str(uri).rstrip("/")
        self._bars = StoredTable(
            f"{self.uri}/bars",
            BAR_TABLE_SCHEMA,
            partition_by=("exchange", "ticker_bucket"),
            storage_options=storage_options,
        )
        self._versions = StoredTable(f"{self.uri}/versions", _VERSION_SCHEMA, storage_options=storage_options)
        self.quality = QualityTable(f"{self.uri}/quality", storage_options)
        self.market = MarketTable(self.uri, storage_options)

    def at(self, version: int | None = None) -> Snapshot:
        """The bars as of ``version``, or as they are now.

        Raises
        ------
        UnknownDataVersionError : there is no such version.
        """
        table = self._bars.open(version)
        if table is None and version is not None:
            raise NothingStoredError
        return Snapshot(self._bars, table, self.market)

    def series(self, version: int | None = None) -> list[SeriesInfo]:
        """What is stored of each ticker; empty where nothing is."""
        return self.at(version).series()

    def read_ticker(
        self, ticker: str, version: int | None = None, *, start: date | None = None, end: date | None = None
    ) -> pd.DataFrame | None:
        """One ticker's bars as a frame, see `Snapshot.read_ticker`; None where it is not stored."""
        return self.at(version).read_ticker(ticker, start=start, end=end)

    def read_bar_arrays(
        self, ticker: str, version: int | None = None, *, start: date | None = None, end: date | None = None
    ) -> BarArrays:
        """One ticker's bars as arrays, see `Snapshot.read_bar_arrays`.

        Raises
        ------
        NothingStoredError : no bar of ``ticker`` is stored.
        """
        return self.at(version).read_bar_arrays(ticker, start=start, end=end)

    def read_many_bar_arrays(
        self, tickers: Collection[str] | None = None, version: int | None = None
    ) -> dict[str, BarArrays]:
        """Bars of all stored tickers, or of ``tickers``, by ticker in alphabetical order, each with its market.

        Raises
        ------
        NothingStoredError : one of ``tickers`` is not stored, or nothing is.
        """
        found = dict(sorted(self.at(version).iterate_bar_arrays(tickers)))
        if absent := sorted(set(tickers or ()) - found.keys()):
            raise NothingStoredError(absent[0])
        if not found:
            raise NothingStoredError
        return found

    def version(self, number: int | None = None) -> DataVersion:
        """Data version ``number``, or the newest.

        Raises
        ------
        NothingStoredError : nothing was ever stored.
        UnknownDataVersionError : no such version, or it was vacuumed.
        """
        snapshot = self.at(number)
        if snapshot.version is None:
            raise NothingStoredError
        known = self._digests().get(snapshot.version)
        return DataVersion(snapshot.table_id, snapshot.version, known or snapshot.content_sha256())

    def versions(self) -> list[DataVersion]:
        """Every version that a run has written, oldest first."""
        snapshot = self.at()
        if snapshot.version is None:
            return []
        return [DataVersion(snapshot.table_id, number, digest) for number, digest in sorted(self._digests().items())]

    def merge(self, incoming: pl.DataFrame, replaced: Collection[str] = ()) -> DataVersion:
        """Write what ``incoming`` changes, in one new version; nothing is written where nothing changes.

        Parameters
        ----------
        incoming : rows of `BAR_TABLE_SCHEMA`, one per ticker and day.
        replaced : tickers whose stored history gives way to that in ``incoming`` as a whole.

        Raises
        ------
        StoreConflictError : ``incoming`` would mix sources or bases in one ticker's series (another run replaced it
            meanwhile), or other writers won every attempt.
        """
        replaced = frozenset(replaced)
        try:
            number = retry_conflicts(lambda: self._merge_once(incoming, replaced))
        except CommitFailedError as error:
            raise StoreConflictError(frozenset(incoming["ticker"].unique()), "other runs kept writing") from error
        self._remember_digest(number)
        return self.version(number)

    def versions_since(self, instant: datetime) -> list[int]:
        """Numbers of the versions that were written at ``instant`` or later; empty where nothing is stored."""
        table = self._bars.open()
        since = instant.timestamp() * 1000
        return [] if table is None else [line["version"] for line in table.history() if line["timestamp"] >= since]

    def vacuum(
        self,
        keep_versions: Collection[int],
        *,
        retention: timedelta = timedelta(days=7),
        dry_run: bool = False,
    ) -> list[str]:
        """Delete files that only versions outside ``keep_versions`` (and the newest) need; their paths.

        ``retention`` protects readers and writers under way: files younger in their grave than it stay. A ``dry_run``
        deletes nothing and gives the same paths.
        """
        table = self._bars.open()
        if table is None:
            return []
        kept = sorted({*keep_versions, table.version()})
        return table.vacuum(
            retention_hours=int(retention / timedelta(hours=1)),
            enforce_retention_duration=False,
            dry_run=dry_run,
            keep_versions=kept,
        )

    def _merge_once(self, incoming: pl.DataFrame, replaced: frozenset[str]) -> int:
        table = self._bars.create()
        stored = Snapshot(self._bars, table, self.market).rows(incoming["ticker"].unique().to_list())
        _refuse_mixed_series(stored, incoming, replaced)
        rows = changed_rows(stored, incoming, replaced)
        if not rows.is_empty():
            _execute_merge(table, rows)
        return table.version()

    def _digests(self) -> dict[int, str]:
        digests = self._versions.scan(self._versions.open()).select("version", "content_sha256")
        return dict(collect_rows(digests).rows())

    def _remember_digest(self, number: int) -> None:
        if number not in self._digests():
            digest = self.at(number).content_sha256()
            self._versions.append(pl.DataFrame({"version": [number], "content_sha256": [digest]}))


def _execute_merge(table: DeltaTable, rows: pl.DataFrame) -> None:
    """Insert, update and delete in one commit, reading only the partitions that ``rows`` touch."""
    exchanges = ", ".join(f"'{exchange}'" for exchange in sorted(rows["exchange"].unique()))
    buckets = ", ".join(str(bucket) for bucket in sorted(rows["ticker_bucket"].unique()))
    same_row = " AND ".join(f"t.{name} = s.{name}" for name in KEY)
    values = {name: f"s.{name}" for name in BAR_TABLE_SCHEMA}
    (
        table.merge(
            rows,
            predicate=f"{same_row} AND t.exchange IN ({exchanges}) AND t.ticker_bucket IN ({buckets})",
            source_alias="s",
            target_alias="t",
            streamed_exec=False,
        )
        .when_matched_delete(predicate=f"s.change = '{Change.REMOVED}'")
        .when_matched_update(values, predicate=_UPSERTED)
        .when_not_matched_insert(values, predicate=_UPSERTED)
        .execute()
    )


def _refuse_mixed_series(stored: pl.DataFrame, incoming: pl.DataFrame, replaced: frozenset[str]) -> None:
    identities = pl.concat([stored.select("ticker", *SERIES_COLUMNS), incoming.select("ticker", *SERIES_COLUMNS)])
    counts = identities.unique().group_by("ticker").len().filter(pl.col("len") > 1)
    if mixed := frozenset(counts["ticker"].to_list()) - replaced:
        raise StoreConflictError(mixed, "stored from another source or on another price basis")
