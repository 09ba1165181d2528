"""One Delta table in a folder or an object store: made on first write, read by Polars, written again on a conflict."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import polars as pl
import stamina
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from data_pipeline.errors import StoreUnavailableError, UnknownDataVersionError

Result = TypeVar("Result")

# Old versions stay readable until `vacuum` drops them: Delta would forget its log after 30 days otherwise.
_KEEP_LOG: Final = {"delta.logRetentionDuration": "interval 36500 days", "delta.enableExpiredLogCleanup": "false"}
_ATTEMPTS = 12
_ATTEMPTS_TIMEOUT_SECONDS = 120.0


class StoredTable:
    """A Delta table at ``uri`` that need not be there yet.

    Parameters
    ----------
    uri : folder, or ``s3://bucket/prefix``.
    schema : column types; what is written has exactly these columns.
    storage_options : credentials and endpoint of the object store.
    """

    def __init__(
        self,
        uri: str,
        schema: Mapping[str, pl.DataType],
        *,
        partition_by: Sequence[str] = (),
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        self.uri = uri
        self.schema = pl.Schema(schema)
        self._partition_by = list(partition_by)
        self._options = dict(storage_options) if storage_options else None

    def open(self, version: int | None = None) -> DeltaTable | None:
        """The table as of ``version`` (None: the newest), or None where nothing was ever written.

        Raises
        ------
        UnknownDataVersionError : there is a table, but not this version of it.
        StoreUnavailableError : the folder or object store cannot be read.
        """
        try:
            return _Table(self.uri, version=version, storage_options=self._options)
        except TableNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailableError(_first_line(error)) from error
        except DeltaError as error:
            if version is None:
                raise
            raise UnknownDataVersionError(version) from error

    def create(self) -> DeltaTable:
        """The table, made now where it is absent."""
        if "://" not in self.uri:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(
            self.uri,
            schema=pl.DataFrame(schema=self.schema).to_arrow().schema,
            partition_by=self._partition_by,
            mode="ignore",
            configuration=_KEEP_LOG,
            storage_options=self._options,
        )
        return _Table(self.uri, storage_options=self._options)

    def scan(self, table: DeltaTable | None) -> pl.LazyFrame:
        """The rows of ``table``, read lazily; none where it is absent."""
        if table is None:
            return pl.LazyFrame(schema=self.schema)
        return pl.scan_delta(table, storage_options=self._options, credential_provider=None)

    def append(self, rows: pl.DataFrame) -> None:
        """Add ``rows``; appends of several writers never exclude each other."""
        if rows.is_empty():
            return
        rows = rows.select(self.schema.names()).cast(self.schema)
        retry_conflicts(lambda: write_deltalake(self.create(), rows, mode="append"))


class _Table(DeltaTable):
    """A table whose local files Polars finds in any folder.

    Polars takes ``file_uris`` for paths, but they are percent-encoded: a folder with a space in its path is not found.
    """

    def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
        """Paths of the files, or their URLs in an object store."""
        uris = super().file_uris(*arguments, **options)
        return [unquote(uri) for uri in uris] if self.table_uri.startswith("file://") else uris


def collect_rows(rows: pl.LazyFrame) -> pl.DataFrame:
    """Read what was scanned lazily.

    Raises
    ------
    FileNotFoundError : the log lists files that are gone.
    StoreUnavailableError : the folder or object store cannot be read.
    """
    try:
        return rows.collect()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreUnavailableError(_first_line(error)) from error


def retry_conflicts(write: Callable[[], Result]) -> Result:
    """What ``write`` returns; it runs again, on the newest version, while other writers get in between.

    Raises
    ------
    deltalake.exceptions.CommitFailedError : they did so a dozen times.
    StoreUnavailableError : the folder or object store cannot be written.
    """
    try:
        return _retried(write)
    except (OSError, DeltaError) as error:
        # What delta-rs has no class of its own for comes from the disk or the network.
        if isinstance(error, DeltaError) and type(error) is not DeltaError:
            raise
        raise StoreUnavailableError(_first_line(error)) from error


def _retried(write: Callable[[], Result]) -> Result:
    for attempt in stamina.retry_context(
        on=CommitFailedError,
        attempts=_ATTEMPTS,
        timeout=_ATTEMPTS_TIMEOUT_SECONDS,
        wait_initial=0.05,
        wait_max=2.0,
        wait_jitter=0.2,
    ):
        with attempt:
            return write()
    raise AssertionError("stamina either returns or raises")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
