"""Shadows forecast what the champion was asked for: frozen beside it, served to nobody."""

from dataclasses import replace
from datetime import date

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import WorkerTools, open_queue
from app.features.market_data.service import publish_windows
from app.features.registry import crud, promotion, service, shadows
from app.features.registry.errors import BundleNotFoundError, TooManyShadowsError
from app.features.stock_prediction.shadowing import forecast_with_shadows
from app.models.forecast import Forecast
from ml_lifecycle.export.writing import write_bundle
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with
from tests.app.freezing import freeze
from tests.app.windows import VERSION, fresh_window, make_window
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest


async def registered(db: AsyncSession, settings: Settings, history_used: int) -> str:
    """Another bundle than the reference, with the same forecasts where bars are few."""
    return await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=history_used))


async def shadow(db: AsyncSession, bundle_id: str, *, shadowing: bool = True) -> None:
    """Begin or end a bundle's time as a shadow."""
    await shadows.decide(db, bundle_id, shadowing=shadowing, reason="a test", by="ada")


async def follow(settings: Settings) -> int:
    """What the worker does every minute."""
    async with open_queue(settings) as (_, tools):
        frozen = await forecast_with_shadows(tools)
        assert isinstance(tools, WorkerTools)
    return frozen


async def by_bundle(db: AsyncSession, bundle_id: str) -> list[Forecast]:
    """A bundle's frozen forecasts."""
    rows = await db.scalars(select(Forecast).where(Forecast.bundle_id == bundle_id).order_by(Forecast.ticker))
    return list(rows)


async def test_a_shadow_is_frozen_beside_the_champion_and_served_to_nobody(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """For the same cutoffs, on the same bars; the answer knows nothing of it."""
    headers = registered_user.headers
    bundle = await registered(db, settings, 960)
    await publish_windows(db, [make_window("AAPL"), make_window("IBM", seed=8), fresh_window("MSFT")])
    before = (await client.get("/predict/AAPL", headers=headers)).json()
    await shadow(db, bundle)
    for ticker in ("IBM", "MSFT"):
        await client.get(f"/predict/{ticker}", headers=headers)

    frozen = await follow(settings)
    again = await follow(settings)

    champion = {row.ticker: row for row in await by_bundle(db, before["bundle"]["id"])}
    ours = await by_bundle(db, bundle)
    assert (frozen, again) == (2, 0)
    assert [row.ticker for row in ours] == ["IBM", "MSFT"]  # AAPL was asked for before it was a shadow
    assert all(row.cutoff == champion[row.ticker].cutoff for row in ours)
    assert all(row.data_sha256 == champion[row.ticker].data_sha256 for row in ours)
    assert [row.kind for row in ours] == ["hindcast", "live"]
    hidden = await client.get(f"/forecasts/{ours[0].id}", headers=headers)
    after = (await client.get("/predict/IBM", headers=headers)).json()
    assert (hidden.status_code, after["bundle"]["id"]) == (404, before["bundle"]["id"])
    assert after["forecast_id"] != str(ours[0].id)


async def test_a_window_that_went_on_is_not_followed_on_other_bars(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """And a shadow that was ended forecasts nothing more."""
    ended, left = [await registered(db, settings, used) for used in (961, 962)]
    await publish_windows(db, [make_window(ticker) for ticker in ("AAPL", "IBM", "MSFT")])
    for bundle in (ended, left):
        await shadow(db, bundle)
    await shadow(db, ended, shadowing=False)
    for ticker in ("AAPL", "IBM", "MSFT"):
        await client.get(f"/predict/{ticker}", headers=registered_user.headers)
    collected_anew = make_window("AAPL", version=replace(VERSION, version=2))
    await publish_windows(db, [collected_anew])
    await publish_windows(db, [make_window("MSFT", cutoff=date(2013, 3, 4))])

    assert await follow(settings) == 1
    assert [row.ticker for row in await by_bundle(db, left)] == ["IBM"]
    assert await by_bundle(db, ended) == []


async def test_a_shadow_that_becomes_champion_is_served_what_it_said(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """The forecast is unique by bundle, ticker and cutoff; a champion is no shadow of itself."""
    bundle = await registered(db, settings, 965)
    await shadow(db, bundle)
    await publish_windows(db, [make_window("AAPL")])
    await client.get("/predict/AAPL", headers=registered_user.headers)
    await follow(settings)
    (said,) = await by_bundle(db, bundle)

    await promotion.force(db, bundle, reason="a test", by="ada")
    _, left = await service.champion_and_shadows(db)
    served = {"bundle": {"id": None}}
    while served["bundle"]["id"] != bundle:
        served = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    assert (served["forecast_id"], list(left)) == (str(said.id), [])


async def test_a_shadow_that_needs_more_bars_than_there_are_forecasts_nothing(
    db: AsyncSession, settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """26 suffice for the champion, a reference needs 252."""
    demanding = await service.ensure_reference_champion(db, settings)
    contents = make_contents()
    network = write_bundle(settings.bundles, contents, make_manifest(contents))
    await promotion.force(db, await service.register_bundle(db, network), reason="a test", by="ada")
    await shadow(db, demanding)
    asked = await freeze(sessions, settings, make_window("AAPL", 100))

    assert asked.bundle_id == network.name
    assert await follow(settings) == 0


async def test_a_damaged_shadow_stays_out(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    bundle = await registered(db, settings, 966)
    (settings.bundles / bundle / "calibration.json").write_text("{}")
    await shadow(db, bundle)
    await publish_windows(db, [make_window("AAPL")])
    answer = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (answer.status_code, await follow(settings)) == (200, 0)


async def test_there_are_four_shadows_at_most(db: AsyncSession, settings: Settings) -> None:
    """Each costs the worker a forecast per answer; one that is a shadow may be made one again."""
    await service.ensure_reference_champion(db, settings)
    bundles = [await registered(db, settings, used) for used in range(970, 975)]
    for bundle in (*bundles[:4], bundles[0]):
        await shadow(db, bundle)

    with pytest.raises(TooManyShadowsError):
        await shadow(db, bundles[4])
    await db.rollback()
    with pytest.raises(BundleNotFoundError):
        await shadow(db, "0" * 64)
    await db.rollback()
    await shadow(db, bundles[1], shadowing=False)
    await shadow(db, bundles[4])
    assert {line.bundle_id for line in await crud.shadows(db)} == {*bundles} - {bundles[1]}
