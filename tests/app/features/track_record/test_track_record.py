"""Over HTTP: figures of live forecasts, good and bad alike; they are what the next answers say of skill."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.track_record.service import score_final_steps
from tests.app.accounts import Account
from tests.app.features.track_record.truth import Truth, windows_at


@pytest.fixture
async def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """One ticker forecast on six days, its bars come since; another one as a hindcast."""
    truth = Truth(settings, sessions)
    champion = await truth.champion()
    *known, last = windows_at(range(300, 307))
    for window in known:
        await truth.publish(window)
        await truth.freeze(champion)
    await truth.publish(last)
    early, late = windows_at([300, 306], "OLD", live=False, seed=8)
    await truth.publish(early)
    await truth.freeze(champion, "OLD")
    await truth.publish(late)
    return truth


async def test_figures_stand_by_horizon_with_hindcasts_apart(
    client: httpx.AsyncClient, registered_user: Account, truth: Truth
) -> None:
    """Six live forecasts of step 1, two of step 5; the head of the chain stands on the page."""
    await score_final_steps(truth.tools)

    record = (await client.get("/track-record", headers=registered_user.headers)).json()

    live = {each["horizon"]: each for each in record["live"]}
    assert (live[1]["scored"], live[5]["scored"], 10 in live) == (6, 2, False)
    assert {each["scored"] for each in record["hindcasts"]} == {1}
    assert live[1]["label"] == "not_yet_measured"
    assert live[1]["relative_mae"] == 1.0  # the reference's median is the naive forecast
    assert len(record["chain"]["head"]) == 64
    assert [(each["ticker"], each["scored"]) for each in record["tickers"]["items"]] == [("AAPL", 6), ("OLD", 0)]
