"""The prediction log's only way in: requests that wait together are committed together.

There is no fixed wait: while one commit is under way the next rows gather, so a quiet service commits row by row and
a busy one in large batches.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.database import DatabaseUnavailableError, is_connection_trouble
from app.core.problems import problem
from data_pipeline.errors import ClosecastError

logger = logging.getLogger(__name__)

LARGEST_BATCH = 500
# Of the event loop before each commit, which is no wait: in the first one the requests that have arrived are read, in
# the second they bring their rows along.
TURNS = 2


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "log-queue-full", example="too many answers wait to be logged, repeat shortly")
class LogQueueFullError(ClosecastError):
    """More answers wait for their log rows than may: repeat after ``Retry-After``."""

    def __init__(self) -> None:
        super().__init__("too many answers wait to be logged, repeat shortly")
        self.retry_after_seconds = 1.0


@dataclass(slots=True)  # not frozen: one is made per answer, and freezing triples what that costs
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
# One statement whatever the number of rows, so that it is prepared once; the rows are one JSON document, which takes
# this process a quarter of what the driver's arrays take it. A row whose commit was cut off may be there already when
# it is tried again: its id tells.
INSERT = (
    f"INSERT INTO prediction_log ({', '.join(_TYPES)}) "  # noqa: S608 (our own field names, values are bound)
    "SELECT * FROM json_to_recordset(%s::json) "
    f"AS entry({', '.join(f'{name} {kind}' for name, kind in _TYPES.items())})"
    " ON CONFLICT (answered_at, id) DO NOTHING"
)


@dataclass(slots=True)
class _Waiting:
    entry: LogEntry
    written: asyncio.Future[None]
    deadline: float  # of the event loop's clock


class PredictionLogWriter:
    """One per process; ``append`` returns when the row is committed.

    Parameters
    ----------
    engine : with a connection to spare: the writer must not wait for requests that wait for it.
    queue_size : rows that may wait.
    timeout_seconds : how long one request waits for its row.
    """

    def __init__(self, engine: AsyncEngine, *, queue_size: int, timeout_seconds: float) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")  # one statement is one transaction
        self._queue_size = queue_size
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[_Waiting] = deque()
        self._wanted = asyncio.Event()  # something waits, or the end is wanted
        self._stopping = False
        self._line: tuple[AsyncConnection, psycopg.AsyncConnection[Any]] | None = None
        self._impatience: asyncio.TimerHandle | None = None  # rings when the oldest has waited too long
        self._under_way: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def is_writing(self) -> bool:
        """Whether rows that come in now will be written."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> int:
        """Rows that are not committed yet."""
        return len(self._waiting) + len(self._under_way)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_until_stopped(), name="prediction-log-writer")
        self._task.add_done_callback(self._start_again)

    def _start_again(self, ended: asyncio.Task[None]) -> None:
        """What nobody foresaw ends one batch and not the log: each beginning needs a row, so this cannot spin."""
        if not ended.cancelled() and (error := ended.exception()) is not None:
            logger.error("the prediction log's writer failed and starts again", exc_info=error)
            self.start()

    async def stop(self) -> None:
        """Write what waits, then end."""
        self._stopping = True
        self._wanted.set()
        while (task := self._task) is not None and not task.done():  # one that fails begins again, for the rows after
            await asyncio.wait([task])
        if self._impatience is not None:
            self._impatience.cancel()
        await self._hang_up()

    async def append(self, entry: LogEntry) -> None:
        """Return when ``entry`` is committed.

        Raises
        ------
        LogQueueFullError : too many rows wait already.
        DatabaseUnavailableError : it could not be committed in time; the request must not be answered.
        """
        if len(self._waiting) >= self._queue_size:
            raise LogQueueFullError
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Waiting(entry, written, loop.time() + self._timeout_seconds))
        if not self._wanted.is_set():
            self._wanted.set()
        if self._impatience is None:
            self._impatience = loop.call_later(self._timeout_seconds, self._give_up_on_the_oldest)
        await written

    def _give_up_on_the_oldest(self) -> None:
        """One timer for all who wait, since they wait equally long: a timer each would cost as much as the rest."""
        loop = asyncio.get_running_loop()
        waiting = [row for row in (*self._under_way, *self._waiting) if not row.written.done()]
        late = [row for row in waiting if row.deadline <= loop.time()]
        _settle(late, TimeoutError())
        patient = waiting[len(late) :]
        self._impatience = loop.call_at(patient[0].deadline, self._give_up_on_the_oldest) if patient else None

    async def _write_until_stopped(self) -> None:
        while True:
            while self._waiting:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                await self._write_some()
            if self._stopping:
                return
            self._wanted.clear()
            await self._wanted.wait()

    async def _write_some(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_BATCH))]
        self._under_way = [row for row in some if not row.written.done()]  # who gave up needs no row
        try:
            if self._under_way:
                await self._write(self._under_way)
        finally:
            _settle(self._under_way, InterruptedError())  # those who were told their fate keep it
            self._under_way = []

    async def _write(self, wanted: list[_Waiting]) -> None:
        """All in one commit; where that fails, each by itself, so that one bad row fails nobody else."""
        error = await self._insert(wanted)
        if error is None:
            _settle(wanted, None)
            return
        for position, waiting in enumerate(wanted):
            error = await self._insert([waiting])
            if error is not None and _is_trouble(error):
                _settle(wanted[position:], error)  # the rest would only wait for the same
                return
            _settle([waiting], error)

    async def _insert(self, rows: list[_Waiting]) -> Exception | None:
        """One exchange with the server."""
        document = _as_json([row.entry for row in rows])
        try:
            await (await self._connect()).execute(INSERT, [document], prepare=True)
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            logger.warning("%d log rows were not written: %s", len(rows), type(error).__name__)
            if _is_trouble(error):
                await self._hang_up()
            return error
        return None

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        """The writer's own connection, bare: SQLAlchemy's way to a statement costs more than the row."""
        if self._line is None:
            lent = await self._engine.connect()
            driver = (await lent.get_raw_connection()).driver_connection
            self._line = lent, cast(psycopg.AsyncConnection[Any], driver)
        return self._line[1]

    async def _hang_up(self) -> None:
        """Give the connection up; the next batch has a new one."""
        if self._line is None:
            return
        (lent, _), self._line = self._line, None
        with contextlib.suppress(SQLAlchemyError, psycopg.Error, OSError):
            await lent.invalidate()
        with contextlib.suppress(SQLAlchemyError, psycopg.Error, OSError):
            await lent.close()


def _is_trouble(error: Exception) -> bool:
    """Whether the database is away or late, whoever says so."""
    return is_connection_trouble(error) or isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError | OSError
    )


def _as_json(entries: list[LogEntry]) -> str:
    """The rows as one document; put together by hand, for a third of what a general encoder of objects takes."""
    return f"[{','.join(map(_as_object, entries))}]"


def _as_object(entry: LogEntry) -> str:
    """One row; what it leaves out is null."""
    members = [
        f'{{"id":"{entry.id.hex}","answered_at":"{entry.answered_at.isoformat()}"',
        f'"latency_ms":{entry.latency_ms!r},"route":{quoted(entry.route)}',
    ]
    if entry.request_id is not None:
        members.append(f'"request_id":{quoted(entry.request_id)}')
    if entry.user_id is not None:
        members.append(f'"user_id":"{entry.user_id.hex}"')
    if entry.api_key_id is not None:
        members.append(f'"api_key_id":"{entry.api_key_id.hex}"')
    if entry.forecast_id is not None:
        members.append(f'"forecast_id":"{entry.forecast_id.hex}"')
    if entry.days_ahead is not None:
        members.append(f'"days_ahead":{entry.days_ahead}')
    if entry.body_sha256 is not None:
        members.append(f'"body_sha256":"\\\\x{entry.body_sha256.hex()}"')
    if entry.quantiles is not None:
        members.append(f'"quantiles":{json.dumps(entry.quantiles)}')
    return f"{','.join(members)}}}"


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
    late = isinstance(cause, TimeoutError)
    error = DatabaseUnavailableError() if late else DatabaseUnavailableError("the answer could not be logged")
    error.__cause__ = cause
    return error
