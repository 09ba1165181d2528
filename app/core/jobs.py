"""Jobs on the same PostgreSQL: the API enqueues by name, the worker knows the tasks."""

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import bounded_connection_string

DATA_QUEUE = "data"  # what the worker image can do; training has a queue and an image of its own

COLLECT = "collect"
PUBLISH_WINDOW = "publish_window"

# Enqueues on a connection it is given, so it never opens one of its own.
_enqueuer = App(connector=PsycopgConnector())


def worker_app(settings: Settings) -> App:
    """The job queue as the worker opens it; it waits on its own connections, so statements alone have a deadline."""
    return App(connector=PsycopgConnector(conninfo=bounded_connection_string(settings), min_size=1, max_size=4))


async def defer(db: AsyncSession, task: str, *, lock: str, **arguments: str) -> bool:
    """Enqueue ``task`` inside the session's transaction; False where the same is waiting already.

    ``lock`` keeps two jobs of one subject from waiting twice and from running at once. Nothing is enqueued unless the
    caller commits.
    """
    connection = (await (await db.connection()).get_raw_connection()).driver_connection
    deferrer = _enqueuer.configure_task(task, queue=DATA_QUEUE, lock=lock, queueing_lock=lock, connection=connection)
    try:
        async with db.begin_nested():  # the refusal of a second one must not spoil the caller's transaction
            await deferrer.defer_async(**arguments)
    except AlreadyEnqueued:
        return False
    return True
