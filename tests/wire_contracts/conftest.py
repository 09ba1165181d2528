"""The app as in `tests/app`, with what the clients of other systems meet: a ticker, and a network that reads closes."""

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.app.accounts import Account
from tests.app.conftest import (  # noqa: F401 (fixtures are found by their names)
    admin,
    app,
    bundle_dir,
    client,
    database_url,
    db,
    registered_user,
    sessions,
    settings,
)
from tests.app.features.training.conftest import make_trainer
from tests.app.windows import VERSION, make_window

CLOSES = load_config("closes").input_spec


@pytest.fixture(autouse=True)
async def _stored(app: FastAPI, db: AsyncSession, settings: Settings) -> None:  # noqa: F811 (the fixtures above)
    """AAPL is stored; the reference is champion; closes alone are forecast by a network that knows its training."""
    trained_on = [networks.training_column(name) for name in (*CLOSES.columns, *CLOSES.context_columns)]
    await networks.register(db, networks.write_network(settings.bundles, CLOSES, trained_on=trained_on))
    for version in (VERSION, replace(VERSION, version=2)):
        await publish_windows(db, [make_window("AAPL", version=version)])


@pytest.fixture
async def trainer(app: FastAPI, client: httpx.AsyncClient, db: AsyncSession) -> Account:  # noqa: F811 (fixtures)
    """A user who may train."""
    return await make_trainer(app, client, db, "trainer@example.org")
