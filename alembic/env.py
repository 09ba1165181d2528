"""Runs migrations on the connection it is given, or on the configured database."""

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

import app.models  # noqa: F401  (fills the metadata)
from app.config import Settings
from app.core.database import database_url
from app.core.migrations import LOCK_WAIT_SECONDS
from app.models.base import Base

# Procrastinate's tables come from its own SQL; partitions of the log come and go by month.
FOREIGN_PREFIXES = ("procrastinate_", "prediction_log_")
MIGRATION_LOCK = 0x636C6F7365  # any number, the same for every process: two starts at once migrate in turn


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether autogenerate compares this table with a model."""
    return kind != "table" or not (name or "").startswith(FOREIGN_PREFIXES)


def migrate(connection: Connection) -> None:
    """Everything up to the target in one transaction, or nothing."""
    context.configure(connection=connection, target_metadata=Base.metadata, include_name=is_ours)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        # From here on only: whoever migrates at the same time is waited for as long as it takes.
        limit = {"limit": f"{LOCK_WAIT_SECONDS * 1000:.0f}ms"}
        connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), limit)
        context.run_migrations()


def run() -> None:
    """Use the caller's connection where there is one (tests, `app.core.migrations`)."""
    given = context.config.attributes.get("connection")
    if isinstance(given, Connection):
        migrate(given)
    elif given is not None:
        with given.connect() as connection:
            migrate(connection)
    else:
        with create_engine(database_url(Settings()), poolclass=NullPool).connect() as connection:
            migrate(connection)


run()
