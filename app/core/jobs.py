"""Jobs on the same PostgreSQL: the API enqueues by name, the worker knows the tasks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.types import JSONValue
from psycopg import Error as PsycopgError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import DatabaseUnavailableError, bounded_connection_string, create_engine, session_factory
from app.core.monitoring.job_spans import trace_argument

DATA_QUEUE = "data"  # what the worker image can do
TRAIN_QUEUE = "train"  # what needs the training image, one at a time
TRACK_QUEUE = "track"  # what needs it too, takes a moment, and is not to wait for a training

STALLED_AFTER_SECONDS = 30  # a worker without a heartbeat; three were due
FAILED_JOBS_KEPT = timedelta(days=7)  # for whoever looks into them

COLLECT = "collect"
PUBLISH_WINDOW = "publish_window"
CHALLENGE = "challenge"
PRECOMPUTE = "precompute_forecasts"
SCORE = "score_final_steps"
RUN_TRAINING = "run_training"

# Enqueues on a connection that it is given, so it never opens one of its own.
_enqueuer = App(connector=PsycopgConnector())


def now_utc() -> datetime:
    """This instant."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class WorkerTools:
    """What a task works with; ``clock`` tells the instant, and only tests put another one in its place."""

    settings: Settings
    sessions: async_sessionmaker[AsyncSession]
    clock: Callable[[], datetime] = now_utc


def tools_of(context: JobContext) -> WorkerTools:
    """The tools of the worker that runs this job."""
    tools: WorkerTools = context.additional_context["tools"]
    return tools


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[tuple[App, WorkerTools]]:
    """The job queue on connections of its own, without tasks yet, and the tools to run them with.

    Raises
    ------
    DatabaseUnavailableError : there is no database to take jobs from.
    """
    app = App(connector=PsycopgConnector(conninfo=bounded_connection_string(settings), min_size=1, max_size=6))
    engine = create_engine(settings)
    try:
        await _require_connection(engine)
        await _open(app)
        try:
            yield app, WorkerTools(settings, session_factory(engine))
        finally:
            await app.close_async()
    finally:
        await engine.dispose()


async def _open(app: App) -> None:
    """Open the queue's own connections: there may be none left, or the database may have gone since it answered."""
    try:
        await app.open_async()
    except (ConnectorException, PsycopgError) as error:  # here Procrastinate passes the driver's own on, too
        raise DatabaseUnavailableError from error


async def _require_connection(engine: AsyncEngine) -> None:
    try:
        async with engine.connect():
            return
    except (DBAPIError, OSError) as error:
        raise DatabaseUnavailableError from error


async def defer(db: AsyncSession, task: str, *, lock: str, queue: str = DATA_QUEUE, **arguments: JSONValue) -> bool:
    """Enqueue ``task`` inside the session's transaction; False where the same is waiting already.

    ``lock`` keeps two jobs of one subject from waiting twice and from running at once. Nothing is enqueued unless the
    caller commits.

    Raises
    ------
    DatabaseUnavailableError
    """
    try:
        # A refusal must not spoil the caller's transaction. The savepoint is set when the session gives its connection.
        async with db.begin_nested():
            connection = (await (await db.connection()).get_raw_connection()).driver_connection
            job = _enqueuer.configure_task(task, queue=queue, lock=lock, queueing_lock=lock, connection=connection)
            await job.defer_async(**arguments, **trace_argument())
    except AlreadyEnqueued:
        return False
    except ConnectorException as error:  # Procrastinate's name for whatever PostgreSQL's driver raises
        raise DatabaseUnavailableError from error
    return True
