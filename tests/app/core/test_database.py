"""The way to PostgreSQL has a deadline."""

import time
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.bounded_connection import MARGIN_SECONDS, BoundedConnection
from app.core.database import (
    allow_seconds,
    bounded_connection_string,
    connection_string,
    create_engine,
    database_url,
    is_connection_trouble,
    session_factory,
)
from data_pipeline.errors import ConfigurationError


def test_no_database_is_a_clear_refusal() -> None:
    """The embedded one is started by `closecast serve`, which tells its children where it is."""
    with pytest.raises(ConfigurationError, match="CLOSECAST_DATABASE_URL is not set"):
        database_url(Settings(_env_file=None))


@pytest.mark.parametrize(
    "url",
    [
        "junk with a s3cret",
        "postgresql://u:s3cret@[::1/x",
        "postgresql://u:s3cret@host:port/x",
        "postgresql://u:s3cret@host/x?foo=bar",
        "mysql://u:s3cret@host/x",
        "sqlite:///s3cret.db",
    ],
)
def test_a_database_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CLOSECAST_DATABASE_URL is no database address") as refused:
        database_url(Settings(database_url=SecretStr(url), _env_file=None))
    assert "s3cret" not in str(refused.value)


def test_an_encoded_space_stays_one_on_the_way_to_libpq() -> None:
    """And a plus stays a plus; each part of an address may hold both."""
    url = "postgresql://a%20b%2Bc:d%20e%2Bf@host/g%20h%2Bi?application_name=j%20k%2Bl"
    settings = Settings(_env_file=None, database_url=SecretStr(url))

    read = conninfo_to_dict(connection_string(settings))

    assert (read["user"], read["password"], read["dbname"]) == ("a b+c", "d e+f", "g h+i")
    assert read["application_name"] == "j k+l"


def test_a_user_with_a_space_in_name_and_password_gets_in(settings: Settings) -> None:
    role = f"two words {uuid4().hex}"  # roles belong to the server, which other tests share
    url = database_url(settings).update_query_dict({"application_name": "two words"}).set(username=role)
    asking = settings.model_copy(
        update={"database_url": SecretStr(url.set(password="p w+d").render_as_string(hide_password=False))}
    )
    with psycopg.connect(connection_string(settings), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p w+d'").format(sql.Identifier(role)))
        try:
            with psycopg.connect(connection_string(asking)) as connection:
                row = connection.execute("SELECT current_user, current_setting('application_name')").fetchone()
            psycopg.connect(bounded_connection_string(asking)).close()
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    assert row == (role, "two words")


async def test_a_statement_that_takes_too_long_is_cut_off(settings: Settings) -> None:
    """So that a request is answered 503 instead of never."""
    engine = create_engine(settings.model_copy(update={"database_timeout_seconds": 0.1}))
    async with session_factory(engine)() as db:
        with pytest.raises(DBAPIError) as caught:
            await db.execute(text("SELECT pg_sleep(5)"))
    await engine.dispose()

    assert is_connection_trouble(caught.value)


async def test_a_transaction_may_be_allowed_more_time_and_the_next_one_has_it_no_more(settings: Settings) -> None:
    """On the server and on our side of the connection, which comes back to the pool as it was."""
    engine = create_engine(settings.model_copy(update={"database_timeout_seconds": 0.1, "database_pool_size": 1}))
    sessions = session_factory(engine)
    async with sessions() as db:
        await allow_seconds(db, 60.0)
        await db.execute(text("SELECT pg_sleep(1.0)"))  # either side's usual patience is over by now
    async with sessions() as db:
        bounded = (await (await db.connection()).get_raw_connection()).driver_connection
        assert isinstance(bounded, BoundedConnection)
        usual = bounded.deadline_seconds
        with pytest.raises(DBAPIError):
            await db.execute(text("SELECT pg_sleep(5)"))
    await engine.dispose()

    assert usual == 0.1 + MARGIN_SECONDS


async def test_a_database_that_is_away_is_noticed_in_time(settings: Settings) -> None:
    """Nothing listens on the discard port."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    engine = create_engine(away)
    started = time.monotonic()
    with pytest.raises(DBAPIError) as caught:
        async with session_factory(engine)() as db:
            await db.execute(text("SELECT 1"))

    assert is_connection_trouble(caught.value)
    assert time.monotonic() - started < 2 * away.database_timeout_seconds


async def test_a_refused_statement_is_no_connection_trouble(db: AsyncSession) -> None:
    """A defect of ours must stay a 500 that somebody looks at."""
    with pytest.raises(IntegrityError) as caught:
        await db.execute(text("INSERT INTO data_versions (table_id, version) VALUES ('t', 1)"))

    assert not is_connection_trouble(caught.value)
