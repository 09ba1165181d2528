"""The way to PostgreSQL: one engine per process, one session per request, a deadline on everything."""

from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.config import Settings
from app.core.bounded_connection import BoundedConnection, connect_bounded
from app.core.monitoring import spans
from app.core.monitoring.statement_spans import record_statements
from app.core.problems import problem
from data_pipeline.errors import ClosecastError, ConfigurationError

POSTGRESQL = ("postgresql", "postgres")  # as URLs call it
CONNECTION_TROUBLE = (OperationalError, InterfaceError, PoolTimeoutError)


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database-unavailable",
    example="the database gave no answer in time, repeat shortly",
)
class DatabaseUnavailableError(ClosecastError):
    """PostgreSQL gave no answer in time, so nothing could be kept: repeat after ``Retry-After``."""

    def __init__(self, detail: str = "the database gave no answer in time") -> None:
        super().__init__(detail)
        self.retry_after_seconds = 2.0


def database_url(settings: Settings) -> URL:
    """The configured database, spelled for SQLAlchemy on psycopg.

    Raises
    ------
    ConfigurationError : no ``database_url`` is set (``closecast serve`` sets it for its children), or it is none.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "CLOSECAST_DATABASE_URL is not set: name a PostgreSQL, or start with `closecast serve`"
        )
    return psycopg_url(settings.database_url.get_secret_value())


def psycopg_url(url: str) -> URL:
    """``postgresql://…`` with the driver that this project uses.

    Raises
    ------
    ConfigurationError : it is none, of another database, or has an option that PostgreSQL does not know.
    """
    try:
        return _parsed(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError, ProgrammingError) as error:  # their messages may hold the password
        raise ConfigurationError(
            "CLOSECAST_DATABASE_URL is no database address: postgresql://user@host/database"
        ) from error


def _parsed(url: str) -> URL:
    parsed = make_url(url)
    if parsed.get_backend_name() not in POSTGRESQL:
        raise ArgumentError
    conninfo_to_dict(_for_libpq(parsed))
    return parsed


def connection_string(settings: Settings) -> str:
    """The configured database as ``postgresql://…``, without deadlines; holds the password."""
    return _for_libpq(database_url(settings))


def _for_libpq(url: URL) -> str:
    rendered = url.set(drivername="postgresql").render_as_string(hide_password=False)
    # SQLAlchemy spells a space as itself, after the question mark as `+`; libpq takes neither for one.
    address, mark, query = rendered.partition("?")
    return address.replace(" ", "%20") + mark + query.replace("+", "%20")


def bounded_connection_string(settings: Settings) -> str:
    """The configured database with its deadlines, spelled for psycopg itself; holds the password."""
    return make_conninfo(connection_string(settings), **connection_options(settings))


def connection_options(settings: Settings) -> dict[str, str | int]:
    """What bounds a connection in time: connecting, each statement, and a peer that went silent."""
    milliseconds = int(settings.database_timeout_seconds * 1000)
    return {
        "connect_timeout": max(2, round(settings.database_timeout_seconds)),  # libpq takes nothing below 2 s
        "tcp_user_timeout": milliseconds,  # a dead peer is noticed without waiting for TCP's own quarter of an hour
        "keepalives_idle": 10,  # ... even by who only listens
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={10 * milliseconds}",
        "application_name": "closecast",
    }


def create_engine(settings: Settings) -> AsyncEngine:
    """One bounded pool for a process; it connects when first used."""
    engine = create_async_engine(
        database_url(settings),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        hide_parameters=True,  # errors are logged, and bound values may be password hashes or addresses
        pool_timeout=settings.database_timeout_seconds,
        connect_args={
            **connection_options(settings),
            "async_creator_fn": partial(connect_bounded, deadline_seconds=settings.database_timeout_seconds),
        },
        use_native_hstore=False,  # nothing here has that type, and looking for it costs each connection a query
    )
    event.listen(engine.sync_engine, "checkin", _as_usual)
    if spans.are_recorded():
        record_statements(engine)
    return engine


async def allow_seconds(db: AsyncSession, seconds: float) -> None:
    """Let each further statement of this transaction take so long: the server ends it then, and we wait for that."""
    connection = await db.connection()
    bounded = (await connection.get_raw_connection()).driver_connection
    if isinstance(bounded, BoundedConnection):
        bounded.allow(seconds)
    await db.execute(text(f"SET LOCAL statement_timeout = {round(1000 * seconds)}"))


def _as_usual(connection: DBAPIConnection | None, _record: object) -> None:
    """Nobody who gets a connection from the pool has more time because somebody before had."""
    bounded = getattr(connection, "driver_connection", None)  # none is left of one that was lost
    if isinstance(bounded, BoundedConnection):
        bounded.allow(None)


def session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions whose rows stay readable after the commit that made them durable."""
    return async_sessionmaker(engine, expire_on_commit=False)


def is_connection_trouble(error: Exception) -> bool:
    """Whether the database itself is away or late, as opposed to a statement that it refused."""
    return isinstance(error, CONNECTION_TROUBLE) or (isinstance(error, DBAPIError) and error.connection_invalidated)


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session per request; whatever the service did not commit is rolled back.

    Raises
    ------
    DatabaseUnavailableError : PostgreSQL is away or late.
    """
    try:
        async with request.app.state.session_factory() as session:
            yield session
    except (DBAPIError, PoolTimeoutError) as error:
        if is_connection_trouble(error):
            raise DatabaseUnavailableError from error
        raise


DbSession = Annotated[AsyncSession, Depends(open_session)]
