"""Windows that clients send themselves: who answers them, from what, what is kept of it, and what is refused."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import exp
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.stock_prediction.schemas import ForecastRead, OwnWindowForecastRead
from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from ml_lifecycle.evaluation.baselines import naive_quantiles
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_bars, make_window

CLOSES = load_config("closes").input_spec
BARS = make_bars(300, seed=3)
PRICES = BARS.close.tolist()


def named_rows(n: int) -> list[dict[str, Any]]:
    """The newest whole bars, their columns by name."""
    newest = BARS.last(n)
    names = ("open", "high", "low", "close", "adj_close", "volume")
    columns = (getattr(newest, name).tolist() for name in names)
    days = map(str, newest.trading_day.tolist())
    return [
        {"trading_day": day, **dict(zip(names, row, strict=True))} for day, *row in zip(days, *columns, strict=True)
    ]


def rows_of(n: int, *names: str) -> list[list[float]]:
    """The newest bars as plain rows."""
    return [[row[name] for name in names] for row in named_rows(n)]


@pytest.fixture
async def closes_network(app: FastAPI, db: AsyncSession, settings: Settings) -> str:
    """A registered network that reads closes alone, and that nobody promoted; gives its id."""
    return await networks.register(db, networks.write_network(settings.bundles, CLOSES))


@pytest.fixture
async def bars_champion(app: FastAPI, db: AsyncSession, settings: Settings) -> str:
    """The champion is a network that reads returns, volumes and weekdays; gives its id."""
    bundle_id = await networks.register(db, networks.write_network(settings.bundles))
    await networks.promote(db, bundle_id)
    await app.state.champions.reload()
    return bundle_id


async def post(client: httpx.AsyncClient, user: Account, body: Any, path: str = "/predict") -> httpx.Response:
    """A body of a user; what ``json`` would not write, such as NaN, is written as Python does."""
    content = json.dumps(body)
    return await client.post(path, content=content, headers={**user.headers, "Content-Type": "application/json"})


async def test_60_closes_suffice_and_59_do_not(
    client: httpx.AsyncClient, registered_user: Account, closes_network: str
) -> None:
    """Earlier ones change nothing; the answer names the network, which is not the champion, and says why."""
    short, enough, more = [
        await post(client, registered_user, {"last_prices": prices})
        for prices in (PRICES[-59:], PRICES[-60:], [1.0, *PRICES[-60:]])
    ]

    rows = named_rows(80)
    for row in rows[:30]:  # the return over a break of more than 30 days is not the return of a day
        row["trading_day"] = str(datetime.fromisoformat(row["trading_day"]).date() - timedelta(days=40))
    broken_off = await post(client, registered_user, rows)

    assert (short.status_code, short.json()["type"]) == (422, "/problems/insufficient-history")
    assert (short.json()["needed"], short.json()["found"]) == (60, 59)
    assert (enough.status_code, more.status_code) == (200, 200)
    assert enough.json()["steps"] == more.json()["steps"]
    assert enough.json()["bundle"]["id"] == closes_network == enough.json()["model_version"]
    assert enough.json()["bundle"]["promotion"] == "closes_network"
    assert (broken_off.status_code, broken_off.json()["needed"], broken_off.json()["found"]) == (422, 60, 50)
    assert more.json()["window"] == {
        "rows": 61,
        "read": "closes",
        "rows_read": 60,
        "answered_by": "closes_network",
        "not_by_champion_because": "it needs 252 rows without a hole, and 61 came",
    }


async def test_a_window_is_logged_and_never_frozen(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, closes_network: str
) -> None:
    """With the digest of the body as it came and the quantiles that were shown; the owner finds it in his history."""
    content = json.dumps({"last_prices": PRICES[-60:], "days_ahead": 2}, indent=1).encode()
    answer = await client.post(
        "/predict", content=content, headers={**registered_user.headers, "Content-Type": "application/json"}
    )

    [logged] = await db.scalars(select(PredictionLogRow))
    assert (await db.scalar(select(func.count()).select_from(Forecast)), logged.forecast_id) == (0, None)
    assert (logged.user_id, logged.route, logged.days_ahead) == (registered_user.id, "POST /predict", 2)
    assert logged.body_sha256 == sha256(content).digest()
    assert logged.quantiles is not None
    assert logged.quantiles["bundle_id"] == closes_network
    shown = [list(step["log_return"].values()) for step in answer.json()["steps"]]
    assert (logged.quantiles["log_returns"], logged.quantiles["anchor"]) == (shown, PRICES[-1])
    [line] = (await client.get("/predictions", headers=registered_user.headers)).json()["items"]
    assert (line["forecast_id"], line["ticker"], line["bundle_id"]) == (None, None, closes_network)


async def test_every_spelling_of_one_window_gives_one_forecast(
    client: httpx.AsyncClient, registered_user: Account, closes_network: str
) -> None:
    """And what is told about it comes back; whatever is not told is null."""
    spellings: list[Any] = [
        {"last_prices": PRICES[-60:]},
        {"sequence": PRICES[-60:]},
        PRICES[-60:],
        {"sequence": rows_of(60, "high", "low", "close", "volume")},
        rows_of(60, "open", "high", "low", "close", "volume"),
        [{"close": price} for price in PRICES[-60:]],
        [{"close": price * (2.0 if day < 30 else 1.0), "adj_close": price} for day, price in enumerate(PRICES[-60:])],
        [{"Date": row["trading_day"], "Close": row["close"], "Volume": row["volume"]} for row in named_rows(60)],
        {"sequence": PRICES[-60:], "ticker": "mine", "exchange": "XNYS", "currency": "USD", "as_of": "2013-03-01"}
        | {"target_trading_day": "2013-03-04"},
    ]

    answers = [(await post(client, registered_user, body)).json() for body in spellings]

    assert all(answer["steps"][1:] == answers[0]["steps"][1:] for answer in answers)
    told = ("ticker", "exchange", "currency", "cutoff", "target_trading_day")
    assert [answers[0][name] for name in told] == [None] * 5
    assert answers[-2]["cutoff"] == "2013-03-01"
    assert [answers[-1][name] for name in told] == ["MINE", "XNYS", "USD", "2013-03-01", "2013-03-04"]
    assert [step["target_trading_day"] for step in answers[-1]["steps"]] == ["2013-03-04", None, None, None, None]


async def test_the_answer_has_the_fields_of_any_other_and_says_what_is_not_known(
    client: httpx.AsyncClient, registered_user: Account, closes_network: str
) -> None:
    body = (await post(client, registered_user, {"last_prices": PRICES[-60:], "horizon": 3})).json()

    assert set(body) == set(ForecastRead.model_fields) | {"window", "target_trading_day"}
    assert (body["forecast_id"], body["kind"], body["price_basis"], body["market_inputs"]) == (
        None,
        None,
        None,
        "missing",
    )
    assert body["data"] == {"source": "request", "version": None, "as_of": None, "stale": None, "repaired_bars": None}
    assert (body["drift_warning"], body["drift_details"]) == (None, None)  # this network knows no training distribution
    first = body["steps"][0]
    assert body["anchor"] == first["naive"] == PRICES[-1]
    assert first["quantiles"]["0.9"] == pytest.approx(PRICES[-1] * exp(first["log_return"]["0.9"]), rel=1e-12)
    assert body["predicted_price"] == body["predictions"][0] == first["median"]
    assert body["latency_ms"] > 0
    assert body["generated_at"] == body["made_at"]


async def test_without_a_closes_network_nothing_stands_in_silently(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """The reference is champion and reads closes too, 252 of them."""
    short = await post(client, registered_user, {"last_prices": PRICES[-60:]})
    enough = (await post(client, registered_user, {"last_prices": PRICES[-252:]})).json()

    assert (short.status_code, short.json()["type"]) == (503, "/problems/closes-network-missing")
    assert short.json()["detail"].endswith("it needs 252 rows without a hole, and 60 came")
    assert (enough["bundle"]["kind"], enough["window"]["answered_by"]) == ("reference", "champion")
    expected = naive_quantiles(BARS.last(252), (0.05, 0.5))[0, 0]
    assert enough["steps"][0]["log_return"]["0.05"] == pytest.approx(expected, abs=1e-12)


async def test_whole_bars_with_their_days_are_read_by_a_champion_that_reads_bars(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, bars_champion: str, closes_network: str
) -> None:
    """The same forecast as of the stored ticker; rows that lack anything of a bar are read by the closes network."""
    await publish_windows(db, [make_window("AAPL", seed=3)])
    stored = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    whole = (await post(client, registered_user, named_rows(120))).json()
    no_days = (await post(client, registered_user, rows_of(120, "open", "high", "low", "close", "volume"))).json()

    assert whole["bundle"]["id"] == stored["bundle"]["id"] == bars_champion
    assert [step["quantiles"] for step in whole["steps"]] == [step["quantiles"] for step in stored["steps"]]
    assert (whole["window"]["answered_by"], whole["window"]["read"]) == ("champion", "bars")
    assert no_days["bundle"]["id"] == closes_network
    assert no_days["window"]["not_by_champion_because"] == "it reads whole bars, and trading_day did not come"


async def test_an_administrator_may_name_a_registered_bundle(
    client: httpx.AsyncClient, registered_user: Account, admin: Account, db: AsyncSession, closes_network: str
) -> None:
    """For a window and for a ticker; nobody else may."""
    await publish_windows(db, [make_window("AAPL")])
    named = {"bundle": closes_network}

    of_window = (await post(client, admin, {"last_prices": PRICES[-60:], **named})).json()
    of_ticker = (await post(client, admin, {"ticker": "AAPL", **named})).json()
    served = (await post(client, admin, {"ticker": "AAPL"})).json()
    refused = await post(client, registered_user, {"ticker": "AAPL", **named})
    unknown = await post(client, admin, {"ticker": "AAPL", "bundle": "0" * 64})

    assert of_window["window"]["answered_by"] == of_ticker["bundle"]["promotion"] == "asked_for"
    assert of_ticker["bundle"]["id"] == closes_network != served["bundle"]["id"]
    assert (refused.status_code, refused.json()["needed"]) == (403, ["admin"])
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/bundle-not-found")


async def test_more_questions_to_a_named_bundle_than_connections_are_all_answered(
    app: FastAPI, client: httpx.AsyncClient, admin: Account, db: AsyncSession
) -> None:
    """None holds a connection while it waits for another one, which nobody would get."""
    size = app.state.session_factory.kw["bind"].pool.size()
    tickers = [f"T{number}" for number in range(3 * size)]
    await publish_windows(db, [make_window(ticker) for ticker in tickers])
    named = {"bundle": app.state.champions.serving(datetime.now(UTC)).bundle_id}

    answers = await asyncio.gather(*(post(client, admin, {"ticker": ticker, **named}) for ticker in tickers))

    assert [answer.status_code for answer in answers] == [200] * len(tickers)


NAN, HUGE = float("nan"), 10**400
TOMORROW = str((datetime.now(UTC) + timedelta(days=2)).date())
ROW = [2.0, 1.0, 1.5, 10.0]
REFUSED: list[tuple[Any, list[Any]]] = [
    ({"last_prices": [1.0, NAN]}, ["last_prices", 1]),
    ({"last_prices": [1.0, float("inf")]}, ["last_prices", 1]),
    ({"last_prices": [1.0, -1.0]}, ["last_prices", 1]),
    ({"last_prices": [0]}, ["last_prices", 0]),
    ({"last_prices": [HUGE]}, ["last_prices", 0]),
    ({"last_prices": [1e12]}, ["last_prices", 0]),
    ({"last_prices": ["1.0"]}, ["last_prices", 0]),
    ({"last_prices": [True]}, ["last_prices", 0]),
    ({"last_prices": [None]}, ["last_prices", 0]),
    ({"last_prices": []}, ["last_prices"]),
    ({"last_prices": [1.0] * 2_001}, ["last_prices"]),
    ({"last_prices": [ROW]}, ["last_prices", 0]),
    ({"last_prices": "1.0"}, ["last_prices"]),
    ({"sequence": []}, ["sequence"]),
    ({"sequence": {}}, ["sequence"]),
    ({"sequence": [[1.0, 2.0, 3.0]]}, ["sequence"]),
    ({"sequence": [1.0, ROW]}, ["sequence", "closes", 1]),
    ({"sequence": [ROW, [*ROW, 1.0]]}, ["sequence", "high_low_close_volume", 1]),
    ({"sequence": [ROW, [2.0, 1.0, NAN, 10.0]]}, ["sequence", "high_low_close_volume", 1, 2]),
    ({"sequence": [[2.0, 1.0, 1.5, -1.0]]}, ["sequence", "high_low_close_volume", 0, 3]),
    ({"sequence": [[1.0, 2.0, 1.5, 10.0]]}, []),
    ([[1.0, *ROW], 1.0], ["sequence", "open_high_low_close_volume", 1]),
    ([{"close": 1.0}, {"close": 1.0, "volume": 1.0}], []),
    ([{"close": 1.0, "colse": 1.0}], ["sequence", "named_columns", 0, "colse"]),
    ([{"volume": 1.0}], ["sequence", "named_columns", 0, "close"]),
    ([{"close": 1.0, "date": "2013-03-01"}, {"close": 1.0, "date": "2013-03-01"}], []),
    ([{"close": 1.0, "date": "2013-03-02"}, {"close": 1.0, "date": "2013-03-01"}], []),
    ([{"close": 1.0, "date": TOMORROW}], ["sequence", "named_columns", 0, "date"]),
    ({"sequence": [{"close": 1.0, "date": "2013-03-01"}], "as_of": "2013-03-04"}, []),
    ({"last_prices": [1.0], "as_of": TOMORROW}, ["as_of"]),
    ({"last_prices": [1.0], "as_of": "2013-03-01", "target_trading_day": "2013-03-01"}, []),
    ({"last_prices": [1.0], "sequence": [1.0]}, []),
    ({"last_prices": [1.0], "currency": "dollars"}, ["currency"]),
    ({"ticker": "AAPL", "exchange": "XNYS"}, []),
    ({"ticker": "AAPL", "bundle": "../evil"}, ["bundle"]),
    ({}, []),
    ([], ["sequence"]),
    ("AAPL", []),
    (5, []),
]


async def test_what_is_no_window_is_refused_by_name(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, closes_network: str
) -> None:
    """One place at a time, briefly, however much came; at `/infer` as at `/predict`. Nothing is logged as answered."""
    for body, place in REFUSED:
        for path in ("/predict", "/infer"):
            answer = await post(client, registered_user, body, path)

            shown = str(body)[:80]
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), shown
            assert [error["location"][:4] for error in answer.json()["errors"]] == [["body", *place][:4]], shown
            assert len(answer.content) < 1_000

    assert await db.scalar(select(func.count()).select_from(PredictionLogRow)) == 0
    # Prices that no share has and that are numbers all the same: an answer or a problem, never a failure.
    for prices in ([1e-6, 1e9] * 30, [1.0] * 60, [1.0] * 59 + [1e9]):
        answer = await post(client, registered_user, {"last_prices": prices})
        if answer.status_code == 200:
            OwnWindowForecastRead.model_validate_json(answer.content)
        else:
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unusable-bars")


async def test_infer_answers_the_same_with_the_names_of_another_system(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, closes_network: str
) -> None:
    """With and without a slash, under both roots; for a window and for a ticker."""
    await publish_windows(db, [make_window("AAPL")])
    body = {"sequence": rows_of(60, "high", "low", "close", "volume")}

    answers = [
        await post(client, registered_user, body, f"{root}/infer{end}") for root in ("", "/api/v1") for end in ("", "/")
    ]
    of_ticker = (await post(client, registered_user, {"ticker": "AAPL"}, "/infer/")).json()

    assert [answer.status_code for answer in answers] == [200] * 4
    for said in (*(answer.json() for answer in answers), of_ticker):
        assert said["prediction"] == said["predicted_price"]
        assert said["timestamp"] == said["generated_at"]
        assert said["latency_ms"] > 0
    assert of_ticker["forecast_id"] is not None
    routes = set(await db.scalars(select(PredictionLogRow.route)))
    assert routes == {"POST /infer"}
