"""One's own history, and nobody else's."""

from uuid import uuid4

import httpx
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from app.models import Forecast, PredictionLogRow, User
from tests.app.accounts import Account
from tests.app.windows import make_window


async def test_a_history_is_read_page_by_page_newest_first(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Nothing twice, nothing left out, nothing of others."""
    await publish_windows(db, [make_window(ticker) for ticker in ("AAPL", "IBM", "MSFT")])
    for ticker in ("AAPL", "IBM", "MSFT"):
        await client.get(f"/predict/{ticker}", headers=registered_user.headers)
    await client.get("/predict/AAPL", headers=other_user.headers)

    first = (await client.get("/predictions?limit=2", headers=registered_user.headers)).json()
    rest = (
        await client.get(f"/predictions?limit=2&cursor={first['next_cursor']}", headers=registered_user.headers)
    ).json()

    assert [each["ticker"] for each in first["items"]] == ["MSFT", "IBM"]
    assert [each["ticker"] for each in rest["items"]] == ["AAPL"]
    assert rest["next_cursor"] is None
    assert {each["route"] for each in first["items"]} == {"GET /predict/{ticker}"}


async def test_a_history_can_be_of_one_ticker_however_much_else_was_asked(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Page by page: pages are of the ticker's answers, not of all among which the ticker's are looked for."""
    await publish_windows(db, [make_window(ticker) for ticker in ("AAPL", "IBM")])
    for ticker in ("IBM", "AAPL", "AAPL", "IBM", "AAPL", "AAPL"):
        await client.get(f"/predict/{ticker}", headers=registered_user.headers)
    await client.get("/predict/IBM", headers=other_user.headers)
    everything = (await client.get("/predictions", headers=registered_user.headers)).json()["items"]

    path = "/predictions?limit=1&ticker=ibm"
    first = (await client.get(path, headers=registered_user.headers)).json()
    rest = (await client.get(f"{path}&cursor={first['next_cursor']}", headers=registered_user.headers)).json()
    unknown = (await client.get("/predictions?ticker=MSFT", headers=registered_user.headers)).json()
    no_ticker = await client.get("/predictions?ticker=../x", headers=registered_user.headers)

    assert first["items"] + rest["items"] == [each for each in everything if each["ticker"] == "IBM"]
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (1, 1, None)
    assert unknown == {"items": [], "next_cursor": None}
    assert (no_ticker.status_code, no_ticker.json()["type"]) == (422, "/problems/malformed-ticker")


async def test_a_cursor_of_somebodys_own_making_is_refused(client: httpx.AsyncClient, registered_user: Account) -> None:
    """With a problem document."""
    answer = await client.get("/predictions?cursor=xyz", headers=registered_user.headers)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-cursor")


async def test_a_forecast_is_read_by_whom_it_was_answered_to(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """All of its 30 steps; a foreign id looks like an unknown one."""
    await publish_windows(db, [make_window("AAPL")])
    asked = (await client.get("/predict/AAPL?days_ahead=1", headers=registered_user.headers)).json()
    path = f"/forecasts/{asked['forecast_id']}"

    own = await client.get(path, headers=registered_user.headers)
    foreign = await client.get(path, headers=other_user.headers)
    unknown = await client.get(f"/forecasts/{uuid4()}", headers=registered_user.headers)

    assert own.status_code == 200, own.text
    assert len(own.json()["steps"]) == 30
    assert own.json()["steps"][0] == asked["steps"][0]
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["type"] == unknown.json()["type"] == "/problems/forecast-not-found"


async def test_a_deleted_user_leaves_an_anonymous_log_and_the_forecast(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Frozen forecasts stay; who asked does not."""
    await publish_windows(db, [make_window("AAPL")])
    await client.get("/predict/AAPL", headers=registered_user.headers)
    await db.execute(delete(User).where(User.id == registered_user.id))
    await db.commit()

    logged = (await db.scalars(select(PredictionLogRow))).one()
    assert (logged.user_id, logged.forecast_id) == (None, (await db.scalars(select(Forecast.id))).one())
