"""Migrations from Python: the schema comes to be, and is checked, in one place."""

import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError

from app.core.database import psycopg_url
from data_pipeline.errors import ClosecastError, ConfigurationError

# A statement that changes a table waits so long for whoever uses it, and everybody who asks later waits behind it. Less
# than the 2 s after which a request is given up; more than the second (deadlock_timeout) after which PostgreSQL has an
# autovacuum give way to who waits.
LOCK_WAIT_SECONDS = 1.5
PATIENCE_SECONDS = 120.0  # over all attempts
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0  # in which those who waited are served
GAVE_WAY = (LockNotAvailable, DeadlockDetected)


class TablesBusyError(ClosecastError):
    """Somebody keeps a table that a migration changes; nothing was changed: see docs/runbooks/migrations.md."""

    def __init__(self) -> None:
        super().__init__(
            f"a table was in use for {PATIENCE_SECONDS:.0f} s, nothing was changed: "
            "end the long transactions, or repeat at a quieter time"
        )


def alembic_config() -> Config:
    """Where the migrations lie: beside the package when installed, at the root of a checkout."""
    package = Path(__file__).parents[1]
    folders = (package / "migrations", package.parent / "alembic")
    for folder in folders:
        if (folder / "env.py").is_file():
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            return config
    raise ConfigurationError(f"no migrations in {' or '.join(map(str, folders))}: the installation is incomplete")


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring a database up to ``revision``: all of it in one transaction, or nothing.

    Two processes at once migrate in turn. A table that is in use is waited for in short attempts, so that those who ask
    for it meanwhile do not wait behind us. A database of a newer release is left as it is (`serves`).

    Raises
    ------
    TablesBusyError : somebody keeps a table all the while.
    """
    if not _is_newer(stored_revision(database_url)):
        _run(database_url, command.upgrade, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take a database back to ``revision`` (``base``: nothing of ours is left, rows included).

    Raises
    ------
    TablesBusyError : as `upgrade`.
    """
    _run(database_url, command.downgrade, revision)


def take_back(database_url: str, revision: str) -> None:
    """`downgrade` for operators: to an older revision that this release knows.

    Raises
    ------
    ConfigurationError : it knows no such revision, or the database is not past it.
    TablesBusyError : as `upgrade`.
    """
    found = stored_revision(database_url)
    if revision not in known_revisions():
        raise ConfigurationError(f"there is no revision {revision}: {', '.join(sorted(known_revisions()))} are")
    if found not in known_revisions() or found <= revision:
        raise ConfigurationError(f"the database is at {found or 'no revision'}: there is no way back to {revision}")
    downgrade(database_url, revision)


def newest_revision() -> str:
    """The revision that this code needs."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:
        raise ConfigurationError("the migrations have no head: the installation is incomplete")
    return head


def known_revisions() -> set[str]:
    """Every revision that this code can take a database on from."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def current_revision(connection: Connection) -> str | None:
    """The revision that a database is at; None where none of ours ever ran."""
    return MigrationContext.configure(connection).get_current_revision()


def stored_revision(database_url: str) -> str | None:
    """`current_revision` of the database at ``database_url``."""
    engine = create_engine(psycopg_url(database_url))
    try:
        with engine.connect() as connection:
            return current_revision(connection)
    finally:
        engine.dispose()


def serves(found: str | None, wanted: str) -> bool:
    """Whether code that needs ``wanted`` can work on a database at ``found``: at it, or at a later one.

    Revisions are numbered in their order, and each leaves alone what the release before it uses, so that processes of
    both can be at work while one replaces the other (docs/runbooks/migrations.md).

    >>> serves("0010", "0010"), serves("0011", "0010"), serves("0009", "0010"), serves(None, "0010")
    (True, True, False, False)
    """
    return found is not None and found >= wanted


def _is_newer(found: str | None) -> bool:
    return found not in known_revisions() and serves(found, newest_revision())


def _run(database_url: str, action: Callable[[Config, str], None], revision: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while not _done(database_url, action, revision):
        if time.monotonic() > deadline:
            raise TablesBusyError
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _done(database_url: str, action: Callable[[Config, str], None], revision: str) -> bool:
    """One attempt; False: a table was in use, and nothing was changed."""
    engine = create_engine(psycopg_url(database_url))
    config = alembic_config()
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            action(config, revision)
    except OperationalError as error:
        if isinstance(error.orig, GAVE_WAY):
            return False
        raise
    finally:
        engine.dispose()
    return True
