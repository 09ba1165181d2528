"""Database, schema, clock and worker: one connection, a deadline on everything."""

import time
from datetime import UTC, datetime

import psycopg
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.config import Settings
from app.core.database import connection_options, database_url
from app.core.migrations import current_revision, newest_revision
from app.doctor.finding import Finding, fail, ok, warn
from app.supervisor.errors import ServiceError
from app.supervisor.worker_process import require_heartbeat

OLDEST_SERVER = 150000  # PostgreSQL 15, as `server_version_num` spells it
START = "start `closecast serve`, or set CLOSECAST_DATABASE_URL to a PostgreSQL that runs"
# Tokens are good for so long before or after; and a forecast is live or not by the instant at which it was made.
CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 2.0, 60.0


def look_at_database(settings: Settings) -> list[Finding]:
    """Whether it answers, at which schema it is, what time it is there, and whether a worker works on it."""
    if settings.database_url is None:
        return [fail("database", f"none is set, and none runs in {settings.home}", START)]
    engine = create_engine(database_url(settings), connect_args=connection_options(settings))
    try:
        with engine.connect() as connection:
            return [_server(connection), _schema(connection), _clock(connection), _worker(settings)]
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return [fail("database", f"it does not answer: {reason}", START)]
    finally:
        engine.dispose()


def _server(connection: Connection) -> Finding:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    told = f"PostgreSQL {number // 10000}.{number % 100}"
    if number < OLDEST_SERVER:
        return fail("database", told, "take PostgreSQL 15 or newer")
    return ok("database", told)


def _schema(connection: Connection) -> Finding:
    found, wanted = current_revision(connection), newest_revision()
    if found != wanted:
        return fail("migrations", f"at {found or 'none'}, {wanted} is needed", "run `closecast migrate`")
    return ok("migrations", f"at {found}")


def _clock(connection: Connection) -> Finding:
    before = time.monotonic()
    there = connection.scalar(text("SELECT clock_timestamp()"))
    took = time.monotonic() - before
    apart = abs((datetime.now(UTC) - there).total_seconds()) - took if there is not None else 0.0
    told = f"{max(0.0, apart):.1f} s apart from the database's"
    advice = "set this machine's clock, or the database's, by a time server (chrony, systemd-timesyncd)"
    if apart > CLOCK_FAIL_SECONDS:
        return fail("clock", told, advice)
    return warn("clock", told, advice) if apart > CLOCK_WARN_SECONDS else ok("clock", told)


def _worker(settings: Settings) -> Finding:
    try:
        return ok("worker", f"{require_heartbeat(settings)} alive")
    except (ServiceError, psycopg.Error) as error:
        reason = str(error).strip().splitlines()[0]
        return warn("worker", reason, "`closecast serve` has one; else start `closecast worker`")
