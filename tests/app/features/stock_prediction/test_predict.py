"""Asking for forecasts over HTTP, all the way to the rows."""

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from tests.app.accounts import Account
from tests.app.windows import make_window


async def test_a_stored_ticker_is_answered_with_its_frozen_forecast(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """What is answered is what is stored, and the request is logged."""
    await publish_windows(db, [make_window("AAPL")])

    answer = await client.get("/predict/AAPL?days_ahead=3", headers=registered_user.headers)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    frozen = (await db.scalars(select(Forecast))).one()
    logged = (await db.scalars(select(PredictionLogRow))).one()
    assert body["forecast_id"] == str(frozen.id) == str(logged.forecast_id)
    assert [step["step"] for step in body["steps"]] == [1, 2, 3]
    assert body["kind"] == "hindcast"
    assert logged.user_id == registered_user.id
