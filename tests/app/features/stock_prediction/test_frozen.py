"""A frozen forecast cannot be changed, by whatever statement; nor can the ledger."""

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import connection_string
from app.models.forecast import Forecast
from tests.app.freezing import freeze
from tests.app.windows import fresh_window, make_window

CHANGES = (
    "UPDATE {} SET kind = kind",
    "UPDATE {} SET kind = kind WHERE false",
    "DELETE FROM {}",
    "TRUNCATE {} CASCADE",
    "SET session_replication_role = replica; DELETE FROM {}",
    "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT * FROM {0} ON CONFLICT (id) DO UPDATE SET kind = 'forced'",
)


@pytest.mark.parametrize("table", ["forecasts", "promotions"])
async def test_what_is_frozen_refuses_every_change(
    sessions: async_sessionmaker[AsyncSession], settings: Settings, table: str
) -> None:
    """Even where no row would change, even for a session that skips ordinary triggers."""
    await freeze(sessions, settings, make_window("AAPL"))

    with psycopg.connect(connection_string(settings), autocommit=True) as connection:
        for change in CHANGES:
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(change.format(table).encode())


async def test_a_second_freezing_changes_nothing_and_gives_the_first(
    sessions: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    """Another process may have been quicker: its row is the forecast."""
    first = await freeze(sessions, settings, make_window("AAPL"))
    second = await freeze(sessions, settings, make_window("AAPL", seed=8))

    assert (second.id, second.made_at, second.anchor) == (first.id, first.made_at, first.anchor)


async def test_nothing_made_after_the_open_can_be_stored_as_live(
    sessions: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    """The database refuses what the code must not do."""
    live = await freeze(sessions, settings, fresh_window("AAPL"))
    assert live.kind == "live"

    columns = [column.name for column in Forecast.__table__.columns]
    late = {"id": "gen_random_uuid()", "ticker": "'IBM'", "made_at": "opens_at"}
    chosen = ", ".join(late.get(name, name) for name in columns)
    copy = f"INSERT INTO forecasts ({', '.join(columns)}) SELECT {chosen} FROM forecasts"  # noqa: S608 (our own names)
    with psycopg.connect(connection_string(settings)) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(copy.encode())
