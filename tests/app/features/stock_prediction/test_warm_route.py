"""The short way answers what FastAPI's way answers, to the byte, and admits, logs and counts as it does."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import DatabaseUnavailableError
from app.core.limits import Limits
from app.core.monitoring.tallies import write_tallies
from app.features.market_data.service import publish_windows
from app.features.registry import promotion, service
from app.features.stock_prediction.service import ForecastDesk
from app.models.prediction_log import PredictionLogRow
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with
from tests.app.windows import VERSION, fresh_window, make_window

LONG_WAY = {"Content-Length": "0"}  # a request with a body, be it empty, is FastAPI's
OF_ONE_REQUEST = {"x-request-id", "ratelimit", "date"}
PATH = "/predict/AAPL?days_ahead=3"


@pytest.fixture
def endpoint_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by a ticker whenever the endpoint itself answers."""
    calls: list[str] = []
    answer = ForecastDesk.answer

    async def noted(desk: ForecastDesk, db: AsyncSession, question: Any) -> Any:
        calls.append(question.ticker)
        return await answer(desk, db, question)

    monkeypatch.setattr(ForecastDesk, "answer", noted)
    return calls


@pytest.fixture
async def ask(client: httpx.AsyncClient, registered_user: Account, db: AsyncSession) -> Callable[..., Any]:
    """Asks for a stored ticker that was answered before in the same spelling."""
    await publish_windows(db, [make_window("AAPL")])
    await client.get(PATH, headers=registered_user.headers)

    async def ask(path: str = PATH, **headers: str) -> httpx.Response:
        return await client.get(path, headers={**registered_user.headers, **headers})

    return ask


def without_latency(body: bytes) -> bytes:
    """All that does not differ from one request to the next."""
    return re.sub(rb'"latency_ms":[\d.e-]+', b"", body)


def http_series() -> dict[tuple[str, str], float]:
    """Every figure about requests, but for how long they took."""
    write_tallies()
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        if metric.name.startswith(("http_re", "closecast_forecasts"))
        for sample in metric.samples
        if not sample.name.endswith(("_bucket", "_seconds_sum", "_seconds_total"))
    }


def grown(early: dict[tuple[str, str], float], late: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """By how much each figure grew; of the bytes sent, whose latency may have a digit more, whether."""
    growth = {key: late[key] - early.get(key, 0.0) for key in late}
    return {key: min(by, 1.0) if key[0] == "http_response_size_bytes_sum" else by for key, by in growth.items()}


async def test_both_ways_answer_the_same_bytes_headers_log_rows_and_figures(
    ask: Callable[..., Any], endpoint_calls: list[str], db: AsyncSession
) -> None:
    """All that differs is the latency and what names one request."""
    answers, figures = [], [http_series()]
    for headers in (LONG_WAY, {}):
        answers.append(await ask(**headers))
        figures.append(http_series())

    long, short = answers
    assert endpoint_calls == ["AAPL"]
    assert (long.status_code, short.status_code) == (200, 200)
    assert without_latency(short.content) == without_latency(long.content)
    named = [[pair for pair in answer.headers.multi_items() if pair[0] not in OF_ONE_REQUEST] for answer in answers]
    lengths = [int(dict(pairs).pop("content-length")) for pairs in named]
    assert [len(answer.content) for answer in answers] == lengths
    assert sorted(set(named[0]) ^ set(named[1])) in ([], sorted(("content-length", str(each)) for each in lengths))
    before, between, after = figures
    assert grown(before, between) == grown(between, after)
    _, by_endpoint, by_short_way = await db.scalars(select(PredictionLogRow).order_by(PredictionLogRow.answered_at))
    for name in ("user_id", "api_key_id", "route", "forecast_id", "days_ahead"):
        assert getattr(by_short_way, name) == getattr(by_endpoint, name)
    assert str(by_short_way.request_id) == short.headers["x-request-id"]


async def test_long_spellings_are_answered_and_not_remembered(
    ask: Callable[..., Any], endpoint_calls: list[str]
) -> None:
    """Thousands of some kilobytes each would fill the memory of each process."""
    for path in (PATH, *2 * [f"/predict/AAPL?days_ahead={'3'.zfill(200)}"], *2 * [f"{PATH}{200 * '&'}"]):
        assert (await ask(path)).status_code == 200

    assert endpoint_calls == ["AAPL"] * 4


async def test_who_holds_the_answer_is_told_so_and_logged(
    ask: Callable[..., Any], endpoint_calls: list[str], db: AsyncSession
) -> None:
    etag = (await ask()).headers["etag"]

    again = await ask(**{"If-None-Match": etag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert len((await db.scalars(select(PredictionLogRow.id))).all()) == 3
    assert endpoint_calls == []


@pytest.mark.parametrize("path", ["/predict/AAPL?days_ahead=4", "/predict/aapl?days_ahead=3", "/predict/AAPL"])
async def test_another_spelling_is_read_by_fastapi_first(
    ask: Callable[..., Any], endpoint_calls: list[str], path: str
) -> None:
    first, second = await ask(path), await ask(path)

    assert endpoint_calls == ["AAPL"]
    assert without_latency(first.content) == without_latency(second.content)


async def test_a_past_day_is_read_each_time(ask: Callable[..., Any], endpoint_calls: list[str]) -> None:
    """Whether a day is past depends on the day."""
    for _ in range(2):
        assert (await ask(f"{PATH}&as_of={date.today()}")).status_code == 200  # noqa: DTZ011 (any day will do)

    assert endpoint_calls == ["AAPL", "AAPL"]


async def test_a_new_window_a_new_champion_and_a_new_line_of_the_ledger_void_the_answer(
    ask: Callable[..., Any], app: FastAPI, db: AsyncSession, settings: Settings
) -> None:
    first = (await ask()).json()
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 3, 4), version=replace(VERSION, version=2))])
    newer = await until(ask, lambda answer: answer["cutoff"] == "2013-03-04")
    bundle = await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=981))
    await promotion.force(db, bundle, reason="a test", by="ada")
    forced = await until(ask, lambda answer: answer["bundle"]["id"] == bundle)

    assert (first["cutoff"], first["bundle"]["promotion"]) == ("2013-03-01", "reference")
    assert newer["forecast_id"] != first["forecast_id"]
    assert forced["bundle"]["promotion"] == "forced"


async def until(ask: Callable[..., Any], told: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first answer that says so; notifications take milliseconds."""
    async with asyncio.timeout(30):
        while True:
            answer: dict[str, Any] = (await ask()).json()
            if told(answer):
                return answer
            await asyncio.sleep(0.03)


async def test_an_answer_is_stale_from_the_instant_on_at_which_a_newer_bar_is_final(
    ask: Callable[..., Any], db: AsyncSession, endpoint_calls: list[str]
) -> None:
    path, soon, before = "", datetime.now(UTC), [True]
    # A busy machine may need longer to ask before that instant.
    for ticker, seconds in (("AAA", 0.6), ("BBB", 5.0), ("CCC", 20.0)):
        path, soon, window = f"/predict/{ticker}", datetime.now(UTC) + timedelta(seconds=seconds), fresh_window(ticker)
        await publish_windows(db, [replace(window, known_at=(soon, *window.known_at[1:]))])
        endpoint_calls.clear()
        before = [(await ask(path)).json()["data"]["stale"] for _ in range(3)]
        if datetime.now(UTC) < soon:
            break
    calls_before = len(endpoint_calls)

    await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
    after = [(await ask(path)).json()["data"]["stale"] for _ in range(2)]

    assert (before, after) == ([False] * 3, [True] * 2)
    assert calls_before < 3
    assert len(endpoint_calls) == calls_before + 1  # the endpoint asks the worker for it, once in a while


async def test_what_was_signed_out_is_refused_within_a_second(
    ask: Callable[..., Any], client: httpx.AsyncClient, registered_user: Account, endpoint_calls: list[str]
) -> None:
    assert (await ask()).status_code == 200
    await client.post("/auth/logout", json={"refresh_token": registered_user.refresh_token})
    await asyncio.sleep(0.6)

    refused, nobody, forged = await ask(), await client.get(PATH), await ask(Authorization="Bearer x.y.z")

    assert [answer.status_code for answer in (refused, nobody, forged)] == [401, 401, 401]
    assert [answer.json()["type"] for answer in (refused, nobody)] == [
        "/problems/invalid-token",
        "/problems/not-authenticated",
    ]
    assert "www-authenticate" in refused.headers
    assert endpoint_calls == []


async def test_limits_hold_on_the_short_way(
    ask: Callable[..., Any],
    app: FastAPI,
    settings: Settings,
    sessions: async_sessionmaker[AsyncSession],
    endpoint_calls: list[str],
) -> None:
    """Five a second are allowed, and one more than five forecasts a day."""
    narrow = settings.model_copy(update={"burst_per_second": 5, "forecasts_per_day": 7})  # one was taken before
    app.state.limits = Limits(narrow, sessions)

    answers = [await ask() for _ in range(8)]
    await asyncio.sleep(2.0)
    answers += [await ask() for _ in range(4)]

    refused = {answer.json()["type"] for answer in answers if answer.status_code == 429}
    assert refused == {"/problems/too-many-requests", "/problems/daily-quota"}
    assert sum(answer.status_code == 200 for answer in answers) == 6
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
    assert all("ratelimit" in answer.headers for answer in answers)
    assert endpoint_calls == []


async def test_what_cannot_be_logged_is_not_answered(
    ask: Callable[..., Any], app: FastAPI, monkeypatch: pytest.MonkeyPatch, endpoint_calls: list[str]
) -> None:
    """Nor is what nobody foresaw; both are counted."""
    counted = {"method": "GET", "handler": "/predict/{ticker:path}"}
    statuses = []
    for error, status in ((DatabaseUnavailableError(), "503"), (KeyError("nobody foresaw this"), "500")):

        async def fail(_entry: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(app.state.prediction_log, "append", fail)
        labels = {**counted, "status": f"{status[0]}xx"}
        before = REGISTRY.get_sample_value("http_requests_total", labels) or 0.0
        statuses.append(str((await ask()).status_code))
        write_tallies()
        assert REGISTRY.get_sample_value("http_requests_total", labels) == before + 1

    assert statuses == ["503", "500"]
    assert endpoint_calls == []
