"""After a collect run the worker forecasts what is new, in batches: what the first asking would have frozen."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import open_queue
from app.features.market_data.service import publish_windows
from app.features.registry import promotion, service
from app.features.stock_prediction import precomputing
from app.features.stock_prediction.precomputing import precompute_forecasts
from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from ml_lifecycle.export.writing import write_bundle
from tests.app.accounts import Account
from tests.app.windows import fresh_window, make_window
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest


async def precompute(settings: Settings) -> int:
    """What the worker does after a collect run."""
    async with open_queue(settings) as (_, tools):
        return await precompute_forecasts(tools)


async def frozen_tickers(db: AsyncSession) -> list[str]:
    """Of what forecasts are frozen."""
    return list(await db.scalars(select(Forecast.ticker).order_by(Forecast.ticker)))


async def test_what_is_made_ahead_is_what_is_answered(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """The asking computes nothing more; nothing was logged as answered before it."""
    await publish_windows(db, [make_window("AAPL"), fresh_window("MSFT")])

    made = [await precompute(settings), await precompute(settings)]
    logged_before = await db.scalar(select(func.count()).select_from(PredictionLogRow))
    answers = [(await client.get(f"/predict/{t}", headers=registered_user.headers)).json() for t in ("AAPL", "MSFT")]

    ids = {ticker: str(row) for ticker, row in await db.execute(select(Forecast.ticker, Forecast.id))}
    assert (made, logged_before) == ([2, 0], 0)
    assert [answer["forecast_id"] for answer in answers] == [ids["AAPL"], ids["MSFT"]]
    assert [answer["kind"] for answer in answers] == ["hindcast", "live"]


async def test_more_than_one_pass_reaches_everything_and_one_bad_window_stops_nothing(
    app: object, db: AsyncSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too short a history has no forecast, nor has a live window whose next day has begun, nor a past day."""
    monkeypatch.setattr(precomputing, "AT_A_TIME", 3)
    monkeypatch.setattr(precomputing, "ROWS", 2)
    past = replace(fresh_window("LATE"), opens_at=datetime.now(UTC) - timedelta(hours=1))
    short, old = make_window("BBB", 20), make_window("AAA", as_of=date(2013, 2, 1), cutoff=date(2013, 2, 1))
    await publish_windows(db, [short, past, old, *(make_window(t) for t in ("AAA", "CCC", "DDD", "EEE"))])

    assert await precompute(settings) == 4
    assert await frozen_tickers(db) == ["AAA", "CCC", "DDD", "EEE"]


async def test_who_asks_meanwhile_keeps_the_forecast_that_was_answered(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """The row that was there first stays, and the others of the batch are inserted."""
    await publish_windows(db, [make_window("AAPL"), make_window("MSFT")])
    async with open_queue(settings) as (_, tools):
        champion = await precomputing._serving(tools)
        assert champion is not None
        read_before = await precomputing._lacking(tools, champion, "")
        answer = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()
        await precomputing._freeze(tools, champion, read_before)

    rows = {row.ticker: row for row in await db.scalars(select(Forecast))}
    assert sorted(rows) == ["AAPL", "MSFT"]
    assert str(rows["AAPL"].id) == answer["forecast_id"]


async def test_a_new_champion_forecasts_the_same_windows_anew(
    app: object, db: AsyncSession, settings: Settings
) -> None:
    """They are unique per bundle, so none of the former champion's is in the way."""
    contents = make_contents()
    bundle = await service.register_bundle(db, write_bundle(settings.bundles, contents, make_manifest(contents)))
    await publish_windows(db, [make_window("AAPL"), make_window("MSFT", seed=9)])
    assert await precompute(settings) == 2

    await promotion.force(db, bundle, reason="a test", by="ada")

    assert await precompute(settings) == 2
    assert await db.scalar(select(func.count()).where(Forecast.bundle_id == bundle)) == 2
