"""Nothing is answered that is not stored; tests/faults kills and cuts for real."""

import httpx
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from tests.app.accounts import Account
from tests.app.windows import make_window


async def test_a_database_that_goes_away_is_a_503_and_comes_back_without_a_restart(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Even for a forecast that is in memory: what cannot be logged is not answered."""
    await publish_windows(db, [make_window("AAPL")])
    assert (await client.get("/predict/AAPL", headers=registered_user.headers)).status_code == 200

    await db.execute(text("ALTER TABLE prediction_log RENAME TO hidden"))
    await db.commit()
    unlogged = await client.get("/predict/AAPL", headers=registered_user.headers)
    await db.execute(text("ALTER TABLE hidden RENAME TO prediction_log"))
    await db.commit()
    back = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (unlogged.status_code, unlogged.json()["type"]) == (503, "/problems/database-unavailable")
    assert unlogged.headers["Retry-After"] == "2"
    assert back.status_code == 200
