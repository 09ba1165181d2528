"""Over HTTP: figures of live forecasts, good and bad alike; they are what the next answers say of skill."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.track_record.schemas import figures_read
from app.features.track_record.service import score_final_steps
from app.main import create_app
from app.models.live_skill import LiveSkill
from app.models.prediction_log import PredictionLogRow
from tests.app.accounts import Account
from tests.app.features.track_record.truth import Truth, windows_at
from tests.app.windows import fresh_window


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


@pytest.mark.parametrize(("p", "rejected"), [(0.0099, True), (0.01, False), (None, None)])
def test_a_promise_is_broken_below_one_percent_and_untold_while_untested(
    p: float | None, rejected: bool | None
) -> None:
    """The server says so: nobody who reads it has a second limit to keep."""
    test = {"level": 0.8, "coverage": 0.7, "n_effective": 90, "p": p}
    skill = {"label": "not_yet_measured", "n": 90, "n_days": 70, "pinball_skill": None, "interval": None}
    counts = {"forecasts": 90, "scored": 90, "voids": 0, "directions": 0}
    measured = {"relative_mae": None, "relative_mae_interval": None, "directional_accuracy": None}

    told = figures_read("live", "0" * 64, 1, "all", {**counts, **measured, "skill": skill, "coverage": [test]})

    assert [each.model_dump() for each in told.coverage] == [{**test, "rejected": rejected}]


async def test_parts_of_the_record_can_be_asked_for(
    client: httpx.AsyncClient, registered_user: Account, truth: Truth
) -> None:
    """By horizon, bundle and window; tickers in pages; what is no horizon of ours is refused."""
    await score_final_steps(truth.tools)

    async def ask(query: str) -> httpx.Response:
        return await client.get(f"/track-record?{query}", headers=registered_user.headers)

    five, other = (await ask("horizon=5")).json(), (await ask(f"bundle={'0' * 64}")).json()
    page = (await ask("limit=1")).json()["tickers"]
    rest = (await ask(f"limit=1&cursor={page['next_cursor']}")).json()["tickers"]
    assert [each["horizon"] for each in five["live"]] == [5]
    assert (five["tickers"]["items"][0]["scored"], other["live"]) == (2, [])
    assert ([each["ticker"] for each in page["items"]], page["next_cursor"]) == (["AAPL"], "AAPL")
    assert ([each["ticker"] for each in rest["items"]], rest["next_cursor"]) == (["OLD"], None)
    assert {(await ask(query)).status_code for query in ("horizon=6", "window=31", "kind=live")} == {422}


def rounded(figures: Any) -> Any:
    """With twelve digits behind the point."""
    return json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 12))


async def test_one_ticker_s_record_agrees_with_the_whole(
    client: httpx.AsyncClient, registered_user: Account, truth: Truth
) -> None:
    """It was the only one with live forecasts: the same figures, worked out on another way; who has none is a 404."""
    await score_final_steps(truth.tools)

    async def ask(path: str) -> httpx.Response:
        return await client.get(path, headers=registered_user.headers)

    whole, own = (await ask("/track-record")).json(), (await ask("/track-record/AAPL")).json()
    assert rounded(own["live"]) == rounded(whole["live"])
    assert (own["hindcasts"], (await ask("/track-record/MSFT")).status_code) == ([], 404)


async def test_the_record_is_public_where_the_setting_says_so(
    client: httpx.AsyncClient, settings: Settings, truth: Truth
) -> None:
    """Without it nobody reads it without an account."""
    await score_final_steps(truth.tools)
    public = create_app(settings.model_copy(update={"public_track_record": True}))
    async with (
        public.router.lifespan_context(public),
        httpx.AsyncClient(transport=httpx.ASGITransport(public), base_url="http://test") as everybody,
    ):
        answers = [
            await asked.get(path) for asked in (client, everybody) for path in ("/track-record", "/track-record/OLD")
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 200, 200]


@pytest.fixture
async def answer(client: httpx.AsyncClient, registered_user: Account, db: AsyncSession) -> httpx.Response:
    """One that is prepared, from a window of now."""
    await publish_windows(db, [fresh_window("MSFT")])
    return await client.get("/predict/MSFT", headers=registered_user.headers)


async def test_answers_tell_live_figures_once_there_are_any(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, answer: httpx.Response, truth: Truth
) -> None:
    """Told by PostgreSQL to every process; an answer that was prepared before is not repeated."""
    before = answer.json()["skill"]["1"]
    await asyncio.wait_for(app.state.notifications.connected.wait(), 30)
    await score_final_steps(truth.tools)

    async def ask() -> httpx.Response:
        held = {**registered_user.headers, "If-None-Match": answer.headers["etag"]}
        return await client.get("/predict/MSFT", headers=held)

    async with asyncio.timeout(30):
        while (after := await ask()).status_code == 304:  # noqa: ASYNC110 (of another connection)
            await asyncio.sleep(0.02)
    skill = after.json()["skill"]
    assert before["source"] != "live"
    assert (skill["1"]["source"], skill["1"]["n"], skill["5"]["n"]) == ("live", 6, 2)
    assert after.headers["etag"] != answer.headers["etag"]


async def test_figures_whose_notification_was_lost_are_found_within_seconds(
    app: FastAPI, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch over the ledger sees them too."""
    monkeypatch.setattr("app.features.registry.champion.POLL_SECONDS", 0.05)
    champions = app.state.champions
    await champions.stop()
    monkeypatch.setattr(champions, "reload_figures", None)
    champions.start()
    await score_final_steps(truth.tools)

    async with asyncio.timeout(30):
        while not champions.serving(datetime.now(UTC)).live:  # noqa: ASYNC110 (no event tells it)
            await asyncio.sleep(0.02)


async def answered(db: AsyncSession, account: Account, forecast_id: UUID) -> None:
    """Log a forecast as answered to an account."""
    entry = {"route": "GET /predict/{ticker}", "latency_ms": 1.0, "days_ahead": 5}
    asked = {"id": uuid4(), "user_id": account.id, "forecast_id": forecast_id}
    db.add(PredictionLogRow(answered_at=datetime.now(UTC), **asked, **entry))
    await db.commit()


async def test_a_forecast_shows_its_scores_and_its_explanation_to_its_owner_alone(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession, truth: Truth
) -> None:
    """Scored steps with their versions; inputs and the nearest windows out of the published window."""
    (early, late) = windows_at([310, 312], "EXPL", seed=9)
    await truth.publish(early)
    frozen = await truth.freeze(await truth.champion(), "EXPL")
    await truth.publish(late)
    await score_final_steps(truth.tools)
    await answered(db, registered_user, frozen.id)

    async def ask(path: str, account: Account) -> httpx.Response:
        return await client.get(f"/forecasts/{frozen.id}{path}", headers=account.headers)

    shown, told = (await ask("", registered_user)).json(), (await ask("/explain", registered_user)).json()
    assert [(each["step"], each["data_version"]["version"]) for each in shown["scores"]] == [(1, 2), (2, 2)]
    assert set(shown["scores"][0]["inside"]) == {"50", "80", "90", "95"}
    assert told["inputs"]["made_from"] == {"table_id": "test-table", "version": 2, "same_as_forecast": False}
    assert (len(told["nearest"]), told["missing_because"]) == (20, None)
    assert (told["lineage"]["bundle_id"], told["lineage"]["data_version"]) == (frozen.bundle_id, 1)
    assert [(await ask(path, other_user)).status_code for path in ("", "/explain")] == [404, 404]


async def test_an_explanation_says_what_is_gone(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, truth: Truth
) -> None:
    """A window that begins after the cutoff holds nothing of it; the lineage is told all the same."""
    early, late = windows_at([300, 330], "GONE", seed=9)
    await truth.publish(early)
    frozen = await truth.freeze(await truth.champion(), "GONE")
    bars = late.bars[310:]
    await truth.publish(type(late)(**{**vars(late), "bars": bars}))
    await answered(db, registered_user, frozen.id)

    told = (await client.get(f"/forecasts/{frozen.id}/explain", headers=registered_user.headers)).json()

    assert (told["inputs"], told["nearest"]) == (None, [])
    assert "closecast explain" in told["missing_because"]
    assert told["lineage"]["bundle_kind"] == "reference"
    assert truth.now - datetime.fromisoformat(told["made_at"]) > timedelta(days=1)


async def test_a_broken_promise_of_coverage_shows_in_the_metrics(
    app: FastAPI, client: httpx.AsyncClient, db: AsyncSession
) -> None:
    """0 while nothing is measured; 1 for the interval that was tested and failed."""

    async def rejected() -> dict[str, float]:
        lines = (await client.get("/metrics")).text.splitlines()
        told = [
            line.split('level="')[1].split('"} ') for line in lines if line.startswith("closecast_live_coverage_rej")
        ]
        return {level: float(value) for level, value in told}

    before = await rejected()
    tests = [{"level": level, "p": p, "coverage": 0.7, "n_effective": 9} for level, p in ((0.8, 0.001), (0.95, 0.4))]
    now, bundle_id = datetime.now(UTC), app.state.champions.serving(datetime.now(UTC)).bundle_id
    figures = {"coverage": tests, "scored": 0}
    db.add(LiveSkill(kind="live", bundle_id=bundle_id, horizon=1, days=365, figures=figures, computed_at=now))
    await db.commit()
    await app.state.champions.reload_figures()

    assert before == {"50": 0, "80": 0, "90": 0, "95": 0}
    assert await rejected() == {**before, "80": 1}
