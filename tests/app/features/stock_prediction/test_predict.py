"""Asking for forecasts over HTTP, all the way to the rows."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from math import exp

import httpx
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from app.features.stock_prediction import freezing
from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.baselines import naive_quantiles
from tests.app.accounts import Account
from tests.app.windows import fresh_window, make_window

FROZEN_FIELDS = {
    *("forecast_id", "kind", "ticker", "exchange", "currency", "cutoff", "anchor", "price_basis", "made_at"),
    *("steps", "market_inputs", "disclaimer", "model_version"),
}
ANSWER_FIELDS = FROZEN_FIELDS | {
    *("bundle", "data", "skill", "drift_warning", "drift_details", "latency_ms"),
    *("predicted_price", "predictions", "generated_at"),
}
STEP_FIELDS = {
    *("step", "target_trading_day", "known_at", "naive", "median", "quantiles", "log_return", "probability_up"),
}


async def rows(db: AsyncSession) -> tuple[list[Forecast], list[PredictionLogRow]]:
    """Everything that is frozen and logged."""
    return list(await db.scalars(select(Forecast))), list(await db.scalars(select(PredictionLogRow)))


async def test_what_is_answered_is_frozen_and_logged(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """One forecast row of 30 steps, one log row that names it."""
    await publish_windows(db, [make_window("AAPL")])

    answer = await client.get("/predict/AAPL?days_ahead=3", headers={**registered_user.headers, "X-Request-Id": "r-1"})

    assert answer.status_code == 200, answer.text
    ([frozen], [logged]) = await rows(db)
    assert answer.json()["forecast_id"] == str(frozen.id) == str(logged.forecast_id)
    assert np.shape(frozen.log_returns) == np.shape(frozen.naive_log_returns) == (30, 9)
    assert (logged.user_id, logged.route, logged.days_ahead, logged.request_id) == (
        registered_user.id,
        "GET /predict/{ticker}",
        3,
        "r-1",
    )


async def test_the_answer_has_every_field_of_the_contract(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """And says where its numbers come from."""
    window = make_window("AAPL", version=DataVersion("tables/1", 4, "f" * 64))
    await publish_windows(db, [window])

    body = (await client.get("/predict/aapl?days_ahead=3", headers=registered_user.headers)).json()

    assert set(body) == ANSWER_FIELDS
    assert [set(step) for step in body["steps"]] == [STEP_FIELDS] * 3
    assert (body["ticker"], body["exchange"], body["currency"], body["price_basis"]) == ("AAPL", "XNYS", "USD", "raw")
    assert body["data"] == {
        "source": "sample",
        "version": {"table_id": "tables/1", "version": 4, "content_sha256": "f" * 64},
        "as_of": None,
        "stale": True,
        "repaired_bars": 2,
    }
    assert (body["bundle"]["kind"], body["bundle"]["promotion"]) == ("reference", "reference")
    assert body["bundle"]["id"] == body["model_version"]
    assert set(body["skill"]) == {"1", "2", "3"}
    assert body["skill"]["1"]["label"] == "not_yet_measured"
    assert body["generated_at"] == body["made_at"]
    assert "no investment advice" in body["disclaimer"]


async def test_prices_are_the_anchor_times_the_exponential_of_log_returns(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """The anchor is the stored close, though returns come from adjusted closes (half of it here)."""
    window = make_window("AAPL")
    await publish_windows(db, [window])

    body = (await client.get("/predict/AAPL?days_ahead=2", headers=registered_user.headers)).json()

    anchor = float(window.bars.close[-1])
    expected = naive_quantiles(window.bars, (0.05, 0.5))[1]
    second = body["steps"][1]
    assert body["anchor"] == second["naive"] == anchor
    assert second["log_return"]["0.05"] == pytest.approx(expected[0], abs=1e-12)
    assert second["quantiles"]["0.05"] == pytest.approx(anchor * exp(expected[0]), rel=1e-12)
    assert second["median"] == second["quantiles"]["0.5"]
    assert body["predictions"] == [step["median"] for step in body["steps"]]
    assert body["predicted_price"] == body["predictions"][0]
    assert [step["target_trading_day"] for step in body["steps"]] == ["2013-03-04", "2013-03-05"]
    assert second["known_at"] == "2013-03-05T22:00:00Z"


async def test_one_bundle_one_ticker_one_cutoff_is_one_forecast(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, db: AsyncSession
) -> None:
    """Whoever asks, by whichever route, for however many steps."""
    await publish_windows(db, [make_window("AAPL")])

    first = await client.get("/predict/AAPL", headers=registered_user.headers)
    second = await client.post("/predict", json={"ticker": "aapl", "horizon": 30}, headers=other_user.headers)

    assert (len(first.json()["steps"]), len(second.json()["steps"])) == (5, 30)
    assert first.json()["forecast_id"] == second.json()["forecast_id"]
    frozen, logged = await rows(db)
    assert (len(frozen), len(logged)) == (1, 2)


async def test_a_new_bar_makes_a_new_forecast_at_once(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """What is kept in memory gives way when the worker publishes."""
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 2, 28))])
    before = await client.get("/predict/AAPL", headers=registered_user.headers)
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 3, 1), version=DataVersion("t", 2, "1" * 64))])

    for _ in range(100):  # the notification takes some milliseconds
        after = await client.get("/predict/AAPL", headers=registered_user.headers)
        if after.json()["cutoff"] == "2013-03-01":
            break

    assert before.json()["cutoff"] == "2013-02-28"
    assert after.json()["cutoff"] == "2013-03-01"
    assert before.json()["forecast_id"] != after.json()["forecast_id"]


async def test_a_fresh_live_ticker_gives_a_live_forecast(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Made before the first target day opens."""
    window = fresh_window("AAPL")
    await publish_windows(db, [window])

    body = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    assert (body["kind"], body["data"]["stale"]) == ("live", False)


async def test_what_cannot_be_a_ticker_is_refused_with_a_reason(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """A problem document that says what a ticker is, and repeats little of what was sent."""
    for text in ("..%2F..%2Fetc%2Fpasswd", "a/b", "%00", "A%20B", "A" * 10_000, "AAPL;--", "%F0%9F%92%A9", "%C3%9F"):
        answer = await client.get(f"/predict/{text}", headers=registered_user.headers)

        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/malformed-ticker"), text[:30]
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 500


BAD_BODIES: list[tuple[dict[str, object], str]] = [
    ({"ticker": "AAPL", "model_path": "../evil.keras"}, "model-path-refused"),
    ({"ticker": "AAPL", "days_ahead": 31}, "invalid-request"),
    ({"ticker": "AAPL", "days_ahead": 0}, "invalid-request"),
    ({"ticker": "AAPL", "tickr": "x"}, "invalid-request"),
    ({"ticker": "../x"}, "malformed-ticker"),
    ({"ticker": "AAPL", "as_of": "yesterday"}, "invalid-request"),
    # Another JSON type than the documented one, though it could be made to fit.
    ({"ticker": "AAPL", "days_ahead": True}, "invalid-request"),
    ({"ticker": "AAPL", "days_ahead": "5"}, "invalid-request"),
    ({"ticker": "AAPL", "days_ahead": 5.0}, "invalid-request"),
    ({"ticker": "AAPL", "horizon": "5"}, "invalid-request"),
    ({"ticker": "AAPL", "as_of": 1_362_096_000}, "invalid-request"),
    ({"ticker": "AAPL", "as_of": "1362096000"}, "invalid-request"),
    ({"ticker": "AAPL", "as_of": "2013-03-01T00:00:00"}, "invalid-request"),
    ({"ticker": 5}, "invalid-request"),
]


NOT_AS_DOCUMENTED: list[tuple[dict[str, str | int], list[str], str]] = [
    ({"days_ahead": 5, "horizon": 6}, [], "days_ahead and horizon are two names of one thing"),
    ({"horizon": 31}, ["horizon"], "Input should be less than or equal to 30"),
    ({"dayz_ahead": 5}, ["dayz_ahead"], "Extra inputs are not permitted"),
    ({"as_of": str(datetime.now(UTC).date() + timedelta(days=2))}, ["as_of"], "as_of must not be after today (UTC)"),
    ({"as_of": "86400"}, ["as_of"], "Input should be a date such as 2013-03-01"),
]


@pytest.mark.parametrize(("wish", "place", "message"), NOT_AS_DOCUMENTED)
async def test_a_wish_that_cannot_be_met_is_refused_by_name_on_both_routes(
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    wish: dict[str, str | int],
    place: list[str],
    message: str,
) -> None:
    """Nothing is quietly left out of a question."""
    await publish_windows(db, [make_window("AAPL")])
    headers = registered_user.headers

    by_query = await client.get("/predict/AAPL", params=wish, headers=headers)
    by_body = await client.post("/predict", json={"ticker": "AAPL", **wish}, headers=headers)

    for answer, where in ((by_query, "query"), (by_body, "body")):
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
        [error] = answer.json()["errors"]
        assert error["location"] == [where, *place]
        assert error["message"].startswith(message)


@pytest.mark.parametrize("wish", [{"horizon": 7}, {"days_ahead": 7}, {"days_ahead": 7, "horizon": 7}], ids=str)
async def test_horizon_is_another_name_of_days_ahead(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, wish: dict[str, int]
) -> None:
    """On both routes."""
    await publish_windows(db, [make_window("AAPL")])
    headers = registered_user.headers

    by_query = await client.get("/predict/AAPL", params=wish, headers=headers)
    by_body = await client.post("/predict", json={"ticker": "AAPL", **wish}, headers=headers)

    assert [len(answer.json()["steps"]) for answer in (by_query, by_body)] == [7, 7]


async def test_today_is_a_day_to_ask_as_of(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """By the clock of UTC."""
    await publish_windows(db, [make_window("AAPL")])
    today = datetime.now(UTC).date().isoformat()

    assert (await client.get(f"/predict/AAPL?as_of={today}", headers=registered_user.headers)).status_code == 200


async def test_a_body_that_does_not_fit_is_refused_by_name(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """And nothing is frozen or logged as answered."""
    await publish_windows(db, [make_window("AAPL")])

    for body, slug in BAD_BODIES:
        answer = await client.post("/predict", json=body, headers=registered_user.headers)
        assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{slug}"), body

    assert await rows(db) == ([], [])


async def test_too_short_a_history_names_what_is_needed_and_found(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """The reference needs a trading year."""
    await publish_windows(db, [make_window("NEWCO", n_bars=100)])

    answer = await client.get("/predict/NEWCO", headers=registered_user.headers)

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/insufficient-history")
    assert (problem["needed"], problem["found"], problem["ticker"]) == (252, 100, "NEWCO")


async def test_nothing_is_answered_without_a_token(client: httpx.AsyncClient, db: AsyncSession) -> None:
    """Nor frozen."""
    await publish_windows(db, [make_window("AAPL")])

    answers = [await client.get("/predict/AAPL"), await client.post("/predict", json={"ticker": "AAPL"})]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert await rows(db) == ([], [])


async def test_many_first_askings_compute_one_forecast(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network runs once; everyone gets the one frozen row."""
    computed: list[str] = []
    compute = freezing.forecast_values

    def counting(champion: object, window: object, made_at: object, alphas: object) -> object:
        computed.append("once")
        return compute(champion, window, made_at, alphas)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(freezing, "forecast_values", counting)
    await publish_windows(db, [make_window("AAPL")])

    answers = await asyncio.gather(*(client.get("/predict/AAPL", headers=registered_user.headers) for _ in range(40)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["forecast_id"] for answer in answers}) == 1
    assert computed == ["once"]
    frozen, logged = await rows(db)
    assert (len(frozen), len(logged)) == (1, 40)
