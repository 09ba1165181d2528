"""Migrations from Python: the schema comes to be, and is checked, in one place."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from app.core.database import psycopg_url
from data_pipeline.errors import ConfigurationError


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

    Two processes at once migrate in turn.
    """
    _run(database_url, command.upgrade, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take a database back to ``revision`` (``base``: nothing of ours is left, rows included)."""
    _run(database_url, command.downgrade, revision)


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


def _run(database_url: str, action: Callable[[Config, str], None], revision: str) -> None:
    engine = create_engine(psycopg_url(database_url))
    config = alembic_config()
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            action(config, revision)
    finally:
        engine.dispose()
