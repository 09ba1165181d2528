"""Answers say which input column left the training distribution, by which statistic."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.models.forecast import Forecast
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_window

TRAINED_ON = [networks.training_column(name) for name in ("log_return", "volume_ratio", "weekday_sine")]
NARROW = [TRAINED_ON[0], networks.training_column("volume_ratio", deviation=0.01), TRAINED_ON[2]]


@pytest.fixture
async def trained_on(app: FastAPI, db: AsyncSession, settings: Settings, request: pytest.FixtureRequest) -> None:
    """The champion is a network that was trained on columns spread like these."""
    bundle_id = await networks.register(db, networks.write_network(settings.bundles, trained_on=request.param))
    await networks.promote(db, bundle_id)
    await app.state.champions.reload()


@pytest.mark.parametrize("trained_on", [TRAINED_ON], indirect=True)
@pytest.mark.usefixtures("trained_on")
async def test_an_ordinary_window_gives_no_warning(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    await publish_windows(db, [make_window("AAPL")])

    body = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    assert body["bundle"]["kind"] == "network"
    assert (body["drift_warning"], body["drift_details"]) == (False, {"left_training_distribution": []})


@pytest.mark.parametrize("trained_on", [NARROW], indirect=True)
@pytest.mark.usefixtures("trained_on")
async def test_a_column_that_left_is_named_and_kept_with_the_forecast(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """By GET and POST, and in the frozen row."""
    window = make_window("AAPL")
    window.bars.volume[-1] *= 100
    await publish_windows(db, [window])

    got = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()
    posted = (await client.post("/predict", json={"ticker": "AAPL"}, headers=registered_user.headers)).json()

    assert got["drift_warning"] is posted["drift_warning"] is True
    [left] = got["drift_details"]["left_training_distribution"]
    assert (left["column"], left["statistic"], left["limit"]) == ("volume_ratio", "distance", 8.0)
    assert left["value"] > 8.0
    assert posted["drift_details"] == got["drift_details"]
    assert await db.scalar(select(Forecast.drift)) == [left]


async def test_the_reference_has_nothing_to_measure_by(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Null, which is not the same as no drift."""
    await publish_windows(db, [make_window("AAPL")])

    body = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    assert (body["drift_warning"], body["drift_details"]) == (None, None)
    assert await db.scalar(select(Forecast).where(Forecast.drift.is_(None))) is not None
