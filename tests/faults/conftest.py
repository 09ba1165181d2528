"""The application on a PostgreSQL of its own that can be killed, behind a proxy that cuts, holds and delays."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from app.config import Settings
from app.core.migrations import upgrade
from app.supervisor.postgres import EmbeddedPostgres
from tests.app.conftest import admin, app, bundle_dir, client, db, registered_user, sessions  # noqa: F401 (fixtures)
from tests.app.conftest import settings as usual_settings  # noqa: F401 (a fixture)
from tests.faults.tcp_proxy import TcpProxy, way_to

TEMPLATE = "migrated"
DEADLINE_SECONDS = 0.5


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only where this folder is named: `make faults` does."""
    parser.addoption("--long", action="store_true", help="also what needs nginx, or a file system of its own")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server with a migrated template; who kills it starts it again."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("pg"))
    embedded.start()
    administer(embedded, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    upgrade(embedded.url(TEMPLATE))
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def proxy(server: EmbeddedPostgres) -> Iterator[TcpProxy]:
    """The way to it."""
    with TcpProxy(lambda: way_to(server)) as proxy:
        yield proxy


@pytest.fixture
def database_url(server: EmbeddedPostgres, proxy: TcpProxy) -> Iterator[str]:
    """A database of this test's own, as the application reaches it."""
    name = f"test_{uuid4().hex[:12]}"
    named = sql.Identifier(name)
    administer(server, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(named, sql.Identifier(TEMPLATE)))
    yield proxy.database_url(name)
    administer(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))


@pytest.fixture
def direct_url(server: EmbeddedPostgres, database_url: str) -> str:
    """The same database past the proxy."""
    return server.url(database_url.rpartition("/")[2])


@pytest.fixture
def settings(usual_settings: Settings) -> Settings:  # noqa: F811 (the fixture)
    """A short deadline, so that a test that waits for it does not wait long."""
    return usual_settings.model_copy(update={"database_timeout_seconds": DEADLINE_SECONDS, "log_level": "CRITICAL"})


def administer(server: EmbeddedPostgres, statement: sql.Composable) -> None:
    """Run one statement as its superuser, past the proxy."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)
