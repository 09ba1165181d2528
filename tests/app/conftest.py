"""The app with everything real: PostgreSQL, migrations, the reference bundle, accounts, HTTP."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.features.registry.service import ensure_reference_champion
from app.features.users.service import create_user
from app.main import create_app
from tests.app.accounts import ONCE_HASHING, Account, sign_in
from tests.database import migrated_template, temporary_database

PASSWORD = "correct horse battery 7"


@pytest.fixture
def database_url() -> Iterator[str]:
    """A migrated database of this test's own, without rows."""
    with temporary_database(migrated_template()) as url:
        yield url


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for bundles; the reference is written into it by whoever comes first."""
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture
def settings(database_url: str, bundle_dir: Path, tmp_path: Path) -> Settings:
    """Settings that come from here alone."""
    return Settings(
        _env_file=None,
        home=tmp_path,
        bundle_dir=bundle_dir,
        database_url=SecretStr(database_url),
        jwt_secret=SecretStr("a-test-key-of-3f9c1e77b2d04a68-characters"),
        collect_wait_seconds=1.0,
        database_timeout_seconds=10.0,  # a busy machine may hold a statement up for seconds
        log_level="ERROR",
    )


@pytest.fixture
async def sessions(settings: Settings) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on this test's database."""
    engine = create_engine(settings)
    yield session_factory(engine)
    await engine.dispose()


@pytest.fixture
async def db(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """One session on this test's database."""
    async with sessions() as session:
        yield session


@pytest.fixture
async def app(settings: Settings, db: AsyncSession) -> AsyncIterator[FastAPI]:
    """The started application, with the reference as champion."""
    await ensure_reference_champion(db, settings)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP into the application, without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def registered_user(client: httpx.AsyncClient, db: AsyncSession) -> Account:
    """An ordinary user who is signed in."""
    await create_user(db, ONCE_HASHING, email="ada@example.org", password=PASSWORD)
    return await sign_in(client, email="ada@example.org", password=PASSWORD)


@pytest.fixture
async def other_user(client: httpx.AsyncClient, db: AsyncSession) -> Account:
    """Another ordinary user who is signed in."""
    await create_user(db, ONCE_HASHING, email="bob@example.org", password=PASSWORD)
    return await sign_in(client, email="bob@example.org", password=PASSWORD)


@pytest.fixture
async def admin(client: httpx.AsyncClient, db: AsyncSession) -> Account:
    """An administrator who is signed in."""
    await create_user(db, ONCE_HASHING, email="root@example.org", password=PASSWORD, admin=True)
    return await sign_in(client, email="root@example.org", password=PASSWORD)
