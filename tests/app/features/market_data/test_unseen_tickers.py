"""Tickers that are not stored: the API asks the worker, waits a while, and says what came of it."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from procrastinate import JobContext
from procrastinate.jobs import Job
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import DATA_QUEUE, WorkerTools, open_queue
from app.features.market_data import collecting
from app.features.market_data.service import publish_windows
from app.features.market_data.tasks import add_tasks, drop_kept_windows
from app.features.registry.champion import Champion
from app.features.stock_prediction import freezing
from app.features.stock_prediction.predictor import Alphas, forecast_values
from app.models import NewTickerRequest, ServingWindowRow, WindowFailure
from data_pipeline.errors import ConfigurationError, StoreUnavailableError, UnknownCalendarError
from data_pipeline.sources.base import (
    BeforeListingError,
    CircuitOpenError,
    MalformedAnswerError,
    NoDataError,
    RateLimitedError,
    SourceNetworkError,
)
from tests.app.accounts import Account
from tests.app.scripted_source import ScriptedSource
from tests.app.windows import fresh_window, make_window


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The first collection of a process imports the pipeline, which takes seconds."""
    return settings.model_copy(
        update={"collect_wait_seconds": 60.0, "new_tickers_per_day": 3, "burst_per_second": 10_000}
    )


async def waiting_jobs(db: AsyncSession) -> list[tuple[str, str]]:
    """Jobs that no worker has taken: task and ticker."""
    jobs = "SELECT task_name, args ->> 'ticker' FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
    found = [(task, ticker) for task, ticker in await db.execute(text(jobs))]
    await db.commit()
    return found


@pytest.mark.usefixtures("worker")
async def test_an_unseen_ticker_is_collected_stored_and_answered_in_one_request(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource
) -> None:
    """A second request asks the source nothing."""
    source.bars["AAPL"] = 300

    first = await client.get("/predict/AAPL", headers=registered_user.headers)
    second = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert first.status_code == 200, first.text
    assert (first.json()["cutoff"], first.json()["data"]["source"]) == ("2013-03-01", "scripted")
    assert second.json()["forecast_id"] == first.json()["forecast_id"]
    assert source.asked == ["AAPL"]


@pytest.mark.usefixtures("worker")
async def test_who_waits_is_woken_by_the_notification(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource
) -> None:
    """Long before the wait is over: 60 s here, of which the first collection spends some on imports."""
    source.bars.update(AAPL=300, IBM=300)
    await client.get("/predict/AAPL", headers=registered_user.headers)

    started = monotonic()
    answer = await client.get("/predict/IBM", headers=registered_user.headers)

    assert answer.status_code == 200
    assert monotonic() - started < 40


@pytest.mark.usefixtures("worker")
async def test_five_hundred_first_requests_at_once_cause_one_collection_and_one_inference(
    app: FastAPI,
    client: httpx.AsyncClient,
    registered_user: Account,
    source: ScriptedSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They all wait for the same job and the same computation; none is refused for the others' sake."""
    source.bars["AAPL"] = 300
    computed: list[str] = []

    def counting(
        champion: Champion, window: ServingWindowRow, made_at: datetime, alphas: Alphas | None
    ) -> dict[str, Any]:
        computed.append(window.ticker)
        return forecast_values(champion, window, made_at, alphas)

    monkeypatch.setattr(freezing, "forecast_values", counting)

    answers = await asyncio.gather(*(client.get("/predict/AAPL", headers=registered_user.headers) for _ in range(500)))

    assert Counter(answer.status_code for answer in answers) == {200: 500}
    assert len({answer.json()["forecast_id"] for answer in answers}) == 1
    assert source.asked == computed == ["AAPL"]


@pytest.mark.usefixtures("worker")
async def test_an_unknown_ticker_is_a_404_that_is_remembered_for_an_hour(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource, db: AsyncSession
) -> None:
    """The source is asked again only afterwards."""
    answers = [await client.get("/predict/ZZZZ", headers=registered_user.headers) for _ in range(3)]

    assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [
        (404, "/problems/unknown-ticker")
    ] * 3
    assert source.asked == ["ZZZZ"]
    seconds = await db.scalar(select(func.extract("epoch", WindowFailure.expires_at - func.now())))
    assert 3_500 < float(seconds or 0) <= 3_600

    await db.execute(update(WindowFailure).values(expires_at=func.now()))
    await db.commit()
    source.bars["ZZZZ"] = 300  # listed meanwhile
    assert (await client.get("/predict/ZZZZ", headers=registered_user.headers)).status_code == 200


@pytest.mark.usefixtures("worker")
async def test_trouble_of_the_source_is_a_503_that_says_when_to_come_back(
    client: httpx.AsyncClient, other_user: Account, admin: Account, registered_user: Account, source: ScriptedSource
) -> None:
    """By its own name; nothing about the ticker is believed longer than the trouble."""
    source.errors = {
        "A": RateLimitedError("A", "scripted", "429", retry_after_seconds=90),
        "B": SourceNetworkError("B", "scripted", "timed out", retry_after_seconds=20),
        "C": MalformedAnswerError("C", "scripted", "HTML", retry_after_seconds=20),
        "D": CircuitOpenError("D", "scripted", "paused", retry_after_seconds=40),
        "E": NoDataError("E", "scripted", "delisted"),
        "F": BeforeListingError("F", "scripted", "first traded later"),
    }
    users = {"A": admin, "B": admin, "C": other_user, "D": other_user, "E": registered_user, "F": registered_user}
    answers = {ticker: await client.get(f"/predict/{ticker}", headers=user.headers) for ticker, user in users.items()}

    assert {ticker: (answer.status_code, answer.json()["type"]) for ticker, answer in answers.items()} == {
        "A": (503, "/problems/price-source-rate-limited"),
        "B": (503, "/problems/price-source-network"),
        "C": (503, "/problems/price-source-malformed"),
        "D": (503, "/problems/price-source-paused"),
        "E": (404, "/problems/no-data"),
        "F": (422, "/problems/before-listing"),
    }
    assert 80 < int(answers["A"].headers["Retry-After"]) <= 90
    assert 30 < int(answers["D"].headers["Retry-After"]) <= 40


@pytest.mark.usefixtures("worker")
async def test_a_history_that_is_too_short_names_what_is_needed_and_found(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource
) -> None:
    """It is stored all the same: the next bar comes tomorrow."""
    source.bars["NEWCO"] = 100

    answer = await client.get("/predict/NEWCO", headers=registered_user.headers)

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/insufficient-history")
    assert problem["needed"] == 252
    assert 90 < problem["found"] <= 100  # weekdays that the exchange was closed on are dropped


@pytest.mark.usefixtures("worker")
async def test_new_tickers_count_against_a_daily_quota_and_stored_ones_do_not(
    client: httpx.AsyncClient, registered_user: Account, other_user: Account, source: ScriptedSource, db: AsyncSession
) -> None:
    """Three a day here; the same ticker counts once."""
    await publish_windows(db, [make_window("AAPL")])
    for ticker in ("X1", "X2", "X3", "X1", "AAPL"):
        assert (await client.get(f"/predict/{ticker}", headers=registered_user.headers)).status_code in {200, 404}

    refused = await client.get("/predict/X4", headers=registered_user.headers)
    others = await client.get("/predict/X4", headers=other_user.headers)

    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/new-ticker-quota")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert others.status_code == 404
    assert source.asked == ["X1", "X2", "X3", "X4"]


@pytest.mark.usefixtures("worker")
async def test_past_days_count_against_the_same_quota_and_kept_ones_do_not(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource
) -> None:
    """Each is a row of some 80 kB: three a day here, the ticker itself included."""
    source.bars["AAPL"] = 400
    days = ("2013-01-08", "2013-01-09", "2013-01-08")
    for query in ("", *(f"?as_of={day}" for day in days)):
        answer = await client.get(f"/predict/AAPL{query}", headers=registered_user.headers)
        assert answer.status_code == 200, answer.text

    refused = await client.get("/predict/AAPL?as_of=2013-01-10", headers=registered_user.headers)

    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/new-ticker-quota")


JOB_TROUBLE = [
    (StoreUnavailableError("s3://canary: connection refused"), "store-unavailable", "store unavailable"),
    (UnknownCalendarError("XXXX"), "unknown-exchange", "XXXX"),
    (ConfigurationError("canary-setting is wrong"), "misconfigured", "misconfigured"),
]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("error", "cause", "told"), JOB_TROUBLE, ids=[cause for _, cause, _ in JOB_TROUBLE])
async def test_a_job_that_fails_as_a_whole_is_told_by_its_true_cause_and_not_retried_at_once(
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    cause: str,
    told: str,
) -> None:
    """For a minute; addresses and settings are for the log alone."""
    attempts: list[str] = []

    def fail(*_: object) -> None:
        attempts.append("once")
        raise error

    monkeypatch.setattr(collecting, "collect_tickers", fail)
    monkeypatch.setattr(collecting, "build_window", fail)
    await publish_windows(db, [make_window("IBM")])

    for path in ("/predict/AAPL", "/predict/AAPL", "/predict/IBM?as_of=2012-06-01", "/predict/IBM?as_of=2012-06-01"):
        answer = await client.get(path, headers=registered_user.headers)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/collection-failed")
        assert answer.json()["cause"] == f"/problems/{cause}"
        assert told in answer.json()["detail"]
        assert "canary" not in answer.text
        assert 1 <= int(answer.headers["Retry-After"]) <= 60

    assert attempts == ["once", "once"]


async def test_past_days_that_were_built_long_ago_are_deleted_and_the_newest_windows_stay(
    settings: Settings, db: AsyncSession, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """Thirty days by default; the daily job."""
    day = date(2012, 6, 1)
    await publish_windows(db, [make_window("AAPL"), make_window("AAPL", cutoff=day, as_of=day)])
    await publish_windows(db, [make_window("IBM", cutoff=day, as_of=day)])
    long_ago = func.clock_timestamp() - timedelta(days=31)
    await db.execute(update(ServingWindowRow).where(ServingWindowRow.ticker == "AAPL").values(published_at=long_ago))
    await db.commit()
    async with open_queue(settings) as (app, _):
        add_tasks(app)
        assert "29 3 * * *" in {each.cron for each in app.periodic_registry.periodic_tasks.values()}
        context = JobContext(
            app=app,
            job=Job(id=1, queue=DATA_QUEUE, lock=None, queueing_lock=None, task_name="drop_kept_windows"),
            start_timestamp=0.0,
            additional_context={"tools": WorkerTools(settings, sessions)},
            abort_reason=lambda: None,
        )

        await drop_kept_windows(context, int(datetime.now(UTC).timestamp()))

    kept = await db.execute(select(ServingWindowRow.ticker, ServingWindowRow.as_of).order_by(ServingWindowRow.ticker))
    assert [tuple(row) for row in kept] == [("AAPL", None), ("IBM", day)]


@pytest.mark.usefixtures("worker")
async def test_a_past_day_is_built_once_kept_and_answered_as_a_hindcast(
    client: httpx.AsyncClient, registered_user: Account, source: ScriptedSource, db: AsyncSession
) -> None:
    """A day without trading means the last one before it."""
    source.bars["AAPL"] = 400
    await client.get("/predict/AAPL", headers=registered_user.headers)

    answers = [await client.get("/predict/AAPL?as_of=2013-01-20", headers=registered_user.headers) for _ in range(2)]
    newest = await client.get("/predict/AAPL?as_of=2013-03-01", headers=registered_user.headers)
    too_early = await client.get("/predict/AAPL?as_of=1999-01-01", headers=registered_user.headers)

    body = answers[0].json()
    assert answers[0].status_code == 200, answers[0].text
    assert (body["cutoff"], body["kind"], body["data"]["as_of"]) == ("2013-01-18", "hindcast", "2013-01-20")
    assert body["steps"][0]["target_trading_day"] == "2013-01-22"  # Monday the 21st was a holiday
    assert answers[1].json()["forecast_id"] == body["forecast_id"]
    assert newest.json()["cutoff"] == "2013-03-01"
    assert (too_early.status_code, too_early.json()["type"]) == (422, "/problems/before-listing")
    kept = await db.scalars(select(ServingWindowRow.as_of).where(ServingWindowRow.as_of.is_not(None)))
    assert kept.all() == [date(2013, 1, 20)]


class TestWithoutAWorker:
    """Nobody takes the jobs."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """So waiting is in vain."""
        return settings.model_copy(update={"collect_wait_seconds": 1.0})

    async def test_a_request_that_waited_in_vain_says_when_to_come_back(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """The job stays, once, and its answer serves whoever asks next."""
        answers = [await client.get("/predict/AAPL", headers=registered_user.headers) for _ in range(2)]

        assert [answer.json()["type"] for answer in answers] == ["/problems/collection-pending"] * 2
        assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
        assert await waiting_jobs(db) == [("collect", "AAPL")]

    async def test_what_a_batch_was_refused_for_the_quota_s_sake_is_not_kept(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """Three a day here; else a few batches a day would fill a table with what nobody may have."""
        tickers = [f"X{number}" for number in range(6)]

        answer = await client.post("/predict/batch", json={"tickers": tickers}, headers=registered_user.headers)

        told = Counter(each["problem"]["type"] for each in answer.json()["answers"])
        assert told == {"/problems/collection-pending": 3, "/problems/new-ticker-quota": 3}
        assert await waiting_jobs(db) == [("collect", ticker) for ticker in tickers[:3]]
        assert sorted(await db.scalars(select(NewTickerRequest.ticker))) == tickers[:3]

    async def test_waiting_requests_hold_no_connection(
        self, app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """Five of them would otherwise be the whole pool."""
        pool = app.state.session_factory.kw["bind"].pool
        waiting = [asyncio.create_task(client.get("/predict/AAPL", headers=registered_user.headers)) for _ in range(5)]
        async with asyncio.timeout(30):
            while not await waiting_jobs(db):  # noqa: ASYNC110 (the job is a row: nothing in this process is told)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the job is there: by now all of them wait, or hold what they should not

        held, answers = pool.checkedout(), await asyncio.gather(*waiting)

        assert held == 0
        assert {answer.json()["type"] for answer in answers} == {"/problems/collection-pending"}

    async def test_a_live_ticker_that_lacks_a_bar_is_answered_as_stale_and_refreshed(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """Without waiting, and without a job for every request."""
        await publish_windows(db, [fresh_window("AAPL", missing_days=3)])

        bodies = [(await client.get("/predict/AAPL", headers=registered_user.headers)).json() for _ in range(3)]

        assert [body["data"]["stale"] for body in bodies] == [True] * 3
        assert {body["kind"] for body in bodies} == {"hindcast"}
        assert await waiting_jobs(db) == [("collect", "AAPL")]

    async def test_a_live_ticker_that_lacks_too_many_bars_is_refused_and_refreshed(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """Three may be missing, four may not."""
        await publish_windows(db, [fresh_window("AAPL", missing_days=4)])

        answer = await client.get("/predict/AAPL", headers=registered_user.headers)

        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/stale-bars")
        assert answer.json()["missing_trading_days"] == 4
        assert answer.headers["Retry-After"] == "60"
        assert await waiting_jobs(db) == [("collect", "AAPL")]

    async def test_a_past_day_of_a_stale_ticker_is_no_concern_of_the_limit(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """Who asks for 2012 does not need today's bar."""
        as_of = date(2012, 6, 1)
        old = make_window("AAPL", cutoff=as_of, as_of=as_of, live=True)
        await publish_windows(db, [fresh_window("AAPL", missing_days=9), old])

        answer = await client.get("/predict/AAPL?as_of=2012-06-01", headers=registered_user.headers)

        assert (answer.status_code, answer.json()["kind"]) == (200, "hindcast")
