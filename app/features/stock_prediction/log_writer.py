"""The prediction log's only way in: requests that wait together are committed together.

There is no fixed wait: while one commit is under way the next rows gather, so a quiet service commits row by row and
a busy one in large batches.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.database import DatabaseUnavailableError, is_connection_trouble
from app.core.problems import problem
from data_pipeline.errors import ClosecastError

logger = logging.getLogger(__name__)

LARGEST_BATCH = 500


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "log-queue-full", example="too many answers wait to be logged, repeat shortly")
class LogQueueFullError(ClosecastError):
    """More answers wait for their log rows than may: repeat after ``Retry-After``."""

    def __init__(self) -> None:
        super().__init__("too many answers wait to be logged, repeat shortly")
        self.retry_after_seconds = 1.0


@dataclass(frozen=True)
class LogEntry:
    """One answered request, as ``PredictionLogRow`` stores it."""

    route: str
    latency_ms: float
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    request_id: str | None = None
    forecast_id: UUID | None = None
    days_ahead: int | None = None
    body_sha256: bytes | None = None
    quantiles: dict[str, Any] | None = None
    id: UUID = field(default_factory=uuid4)
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))


_TYPES = {
    "route": "text",
    "latency_ms": "float8",
    "user_id": "uuid",
    "api_key_id": "uuid",
    "request_id": "text",
    "forecast_id": "uuid",
    "days_ahead": "int2",
    "body_sha256": "bytea",
    "quantiles": "jsonb",
    "id": "uuid",
    "answered_at": "timestamptz",
}
# One statement whatever the number of rows, so that it is prepared once. A row whose commit was cut off may be there
# already when it is tried again: its id tells.
INSERT = (
    f"INSERT INTO prediction_log ({', '.join(_TYPES)}) "  # noqa: S608 (our own field names, values are bound)
    f"SELECT * FROM unnest({', '.join(f'%({name})s::{kind}[]' for name, kind in _TYPES.items())}) "
    "ON CONFLICT (answered_at, id) DO NOTHING"
)


@dataclass(frozen=True)
class _Waiting:
    entry: LogEntry
    written: asyncio.Future[None]


class PredictionLogWriter:
    """One per process; ``append`` returns when the row is committed.

    Parameters
    ----------
    engine : with a connection to spare: the writer must not wait for requests that wait for it.
    queue_size : rows that may wait.
    timeout_seconds : how long one request waits for its row.
    """

    def __init__(self, engine: AsyncEngine, *, queue_size: int, timeout_seconds: float) -> None:
        self._engine = engine
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_size)
        self._timeout_seconds = timeout_seconds
        self._task: asyncio.Task[None] | None = None

    @property
    def is_writing(self) -> bool:
        """Whether rows that come in now will be written."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_for_ever(), name="prediction-log-writer")
        self._task.add_done_callback(self._start_again)

    def _start_again(self, ended: asyncio.Task[None]) -> None:
        """What nobody foresaw ends one batch and not the log: each beginning needs a row, so this cannot spin."""
        if not ended.cancelled():
            logger.error("the prediction log's writer failed and starts again", exc_info=ended.exception())
            self.start()

    async def stop(self) -> None:
        """Write what waits, then end."""
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def append(self, entry: LogEntry) -> None:
        """Return when ``entry`` is committed.

        Raises
        ------
        LogQueueFullError : too many rows wait already.
        DatabaseUnavailableError : it could not be committed in time; the request must not be answered.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(entry, written))
        except asyncio.QueueFull:
            raise LogQueueFullError from None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await written
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    async def _write_for_ever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < LARGEST_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            finally:
                _settle(batch, InterruptedError())  # those who were told their fate keep it
                for _ in batch:
                    self._queue.task_done()

    async def _write(self, batch: list[_Waiting]) -> None:
        """All in one commit; where that fails, each by itself, so that one bad row fails nobody else."""
        wanted = [waiting for waiting in batch if not waiting.written.done()]  # who gave up needs no row
        if not wanted:
            return
        error = await self._insert(wanted)
        if error is None:
            _settle(wanted, None)
            return
        for position, waiting in enumerate(wanted):
            error = await self._insert([waiting])
            if error is not None and is_connection_trouble(error):
                _settle(wanted[position:], error)  # the rest would only wait for the same
                return
            _settle([waiting], error)

    async def _insert(self, rows: list[_Waiting]) -> Exception | None:
        try:
            async with self._engine.begin() as connection:
                await connection.exec_driver_sql(INSERT, _as_arrays([row.entry for row in rows]))
        except (SQLAlchemyError, OSError) as error:
            logger.warning("%d log rows were not written: %s", len(rows), type(error).__name__)
            return error
        return None


def _as_arrays(entries: list[LogEntry]) -> dict[str, list[Any]]:
    arrays = {name: [getattr(entry, name) for entry in entries] for name in _TYPES}
    arrays["quantiles"] = [None if quantiles is None else Jsonb(quantiles) for quantiles in arrays["quantiles"]]
    return arrays


def _settle(rows: list[_Waiting], error: Exception | None) -> None:
    """Tell each request that its row is committed, or that it is not."""
    for row in rows:
        if row.written.done():  # the request went away meanwhile
            continue
        if error is None:
            row.written.set_result(None)
        else:
            row.written.set_exception(_unavailable(error))


def _unavailable(cause: Exception) -> DatabaseUnavailableError:
    error = DatabaseUnavailableError("the answer could not be logged")
    error.__cause__ = cause
    return error
