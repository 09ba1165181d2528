"""`GET /monitor`: what was answered and what was not, of all processes, from sums that a worker keeps."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import WorkerTools
from app.core.monitoring.metrics import ForecastOutcome
from app.core.monitoring.unanswered import UnansweredTally
from app.features.market_data.service import publish_windows
from app.features.monitoring import crud
from app.features.monitoring.counting import KEPT, SETTLED_AFTER, count_answers, read_counts
from app.features.monitoring.latencies import bucket_of
from app.features.stock_prediction.partitions import ensure_partitions
from app.models.answer_counts import ALL_TIME, AnswerCount, UnansweredCount
from app.models.prediction_log import PredictionLogRow
from tests.app.accounts import Account
from tests.app.windows import make_window

NOW = datetime(2026, 11, 18, 15, 7, tzinfo=UTC)
Sessions = async_sessionmaker[AsyncSession]


async def log(
    db: AsyncSession, ages: Sequence[timedelta], latencies_ms: Sequence[float], *, now: datetime = NOW
) -> None:
    """Answers of so long ago, each with its latency."""
    await ensure_partitions(db, now)
    db.add_all(
        PredictionLogRow(answered_at=now - age, id=uuid4(), route="/predict", latency_ms=latency)
        for age, latency in zip(ages, latencies_ms, strict=True)
    )
    await db.commit()


def worker(settings: Settings, sessions: Sessions, *, now: datetime = NOW) -> WorkerTools:
    """One that believes it is ``now``."""
    return WorkerTools(settings, sessions, clock=lambda: now)


def test_a_bucket_is_the_same_in_python_as_in_the_middle_of_its_values() -> None:
    """Edges differ by rounding; within a bucket all is one."""
    assert [bucket_of(latency) for latency in (0.0, 0.01, 0.0102, 0.0105, 1e5)] == [0, 0, 0, 1, 410]


async def test_counted_or_not_the_figures_are_those_of_the_log(
    db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """Before anybody has counted, after it, and with answers since: mean, extremes, percentiles, newest."""
    source = np.random.default_rng(1)
    ages = [timedelta(seconds=float(age)) for age in source.uniform(0, 3600, 400)]
    latencies = np.exp(source.normal(1.0, 1.0, 400))
    await log(db, ages, latencies.tolist())
    before = (await read_counts(db, NOW)).all_time.answered
    await db.rollback()

    counted = await count_answers(worker(settings, sessions))
    after = await read_counts(db, NOW)

    assert 300 < counted == sum(age > SETTLED_AFTER for age in ages)
    assert not after.behind
    for found in (before, after.all_time.answered, after.last_day.answered, after.last_hour.answered):
        assert (found.answers, found.newest_at) == (400, NOW - min(ages))
        assert (found.min_ms, found.max_ms) == (latencies.min(), latencies.max())
        assert found.mean_ms == pytest.approx(latencies.mean())
        for share in (0.5, 0.95, 0.99):
            exact = np.quantile(latencies, share, method="inverted_cdf")
            assert found.percentile_ms(share) == pytest.approx(exact, rel=0.021)


async def test_windows_begin_with_their_first_ten_minutes(
    db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """At seven past: an hour ago is seven past, so the hour begins on the full one."""
    minutes = (3, 66, 68, 60 * 24, 60 * 24 + 8, 60 * 50)
    await log(db, [timedelta(minutes=age) for age in minutes], [1.0] * 6)
    await count_answers(worker(settings, sessions))

    found = await read_counts(db, NOW)

    assert (found.last_hour.since, found.last_day.since) == (
        NOW.replace(hour=14, minute=0),
        NOW.replace(day=17, minute=0),
    )
    assert [each.answered.answers for each in (found.last_hour, found.last_day, found.all_time)] == [2, 4, 6]


async def test_counting_twice_at_once_and_after_a_kill_counts_once(
    db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """Where the counting ended is committed with the counts."""
    await log(db, [timedelta(minutes=minutes) for minutes in range(3, 603)], [2.0] * 600)
    tools = worker(settings, sessions)

    killed = asyncio.create_task(count_answers(tools))
    await asyncio.sleep(0.05)
    killed.cancel()
    await asyncio.wait([killed])
    await asyncio.gather(*(count_answers(tools) for _ in range(3)))

    assert (await read_counts(db, NOW)).all_time.answered.answers == 600
    assert (await crud.counts_at(db, ALL_TIME)).answers == 600


async def test_old_slices_go_and_all_time_stays(db: AsyncSession, settings: Settings, sessions: Sessions) -> None:
    """Of what was answered and of what was not."""
    await log(db, [timedelta(hours=1)], [1.0])
    db.add(UnansweredCount(slice_at=NOW - timedelta(hours=1), outcome="failed", n=3))
    await db.commit()
    await count_answers(worker(settings, sessions))
    for later in (NOW + KEPT, NOW + 2 * KEPT):
        db.add(UnansweredCount(slice_at=later - timedelta(hours=1), outcome="failed", n=2))
        await db.commit()
        await count_answers(worker(settings, sessions, now=later))

    found = await read_counts(db, NOW + 2 * KEPT)

    assert (await db.scalars(select(AnswerCount.slice_at))).all() == [ALL_TIME]
    assert (found.all_time.answered.answers, found.last_day.answered.answers) == (1, 0)
    assert (found.all_time.unanswered, found.last_day.unanswered) == ({"failed": 7}, {"failed": 2})


async def test_a_worker_that_is_away_is_told_and_the_log_is_not_read_for_it(db: AsyncSession) -> None:
    """Only the last hour of it."""
    await log(db, [timedelta(hours=2), timedelta(minutes=30)], [1.0, 1.0])

    found = await read_counts(db, NOW)

    assert (found.behind, found.all_time.answered.answers) == (True, 1)


async def test_the_sums_are_read_by_index(db: AsyncSession) -> None:
    """Nothing walks through the log: neither for what is new, nor for where the counting begins."""
    await ensure_partitions(db, NOW)
    await db.execute(text("SET LOCAL enable_seqscan = off"))  # an empty log is read whole otherwise
    first = "SELECT min(answered_at) FROM prediction_log"
    new = "SELECT max(latency_ms) FROM prediction_log WHERE answered_at >= now() - interval '1 hour'"
    for query in (first, new):
        plan = "\n".join(await db.scalars(text(f"EXPLAIN {query}")))
        assert "Index" in plan
        assert "Seq Scan" not in plan


async def test_what_clients_of_system_c_read(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """With the slash as they spell it: two answers, one unknown ticker."""
    await publish_windows(db, [make_window("AAPL")])
    empty = (await client.get("/monitor/", headers=registered_user.headers)).json()
    for _ in range(2):
        assert (await client.get("/predict/AAPL", headers=registered_user.headers)).status_code == 200

    answer = await client.get("/monitor/", headers=registered_user.headers)

    said = answer.json()
    assert answer.status_code == 200
    assert (empty["total_inferences"], empty["avg_latency_ms"], empty["last_inference_timestamp"]) == (0, None, None)
    assert (said["status"], said["total_inferences"], said["behind"]) == ("ok", 2, False)
    assert 0 < said["min_latency_ms"] <= said["avg_latency_ms"] <= said["max_latency_ms"]
    assert datetime.fromisoformat(said["last_inference_timestamp"]) <= datetime.now(UTC)
    assert said["last_hour"]["latency_ms"]["p99"] >= said["all_time"]["latency_ms"]["p50"] > 0


async def test_what_was_not_answered_is_counted_for_good(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """A horizon that is none, a ticker that nobody could collect; not a stranger, and no other route."""
    asked = [
        await client.post("/predict", json={"ticker": "AAPL", "days_ahead": 99}, headers=registered_user.headers),
        await client.get("/predict/AAPL"),
        await client.get("/bars/AAPL", headers=registered_user.headers),
        await client.get("/predict/AAPL", headers=registered_user.headers),
    ]
    tally: UnansweredTally = app.state.unanswered
    await tally.write()

    errors = (await client.get("/monitor", headers=registered_user.headers)).json()["all_time"]["errors"]

    assert [each.status_code for each in asked] == [422, 401, 404, 503]
    assert errors == {"unknown": 0, "refused": 1, "unavailable": 1, "failed": 0, "total": 2}


async def test_while_the_database_is_away_the_counts_wait(sessions: Sessions, db: AsyncSession) -> None:
    """And are added once, to what other processes have counted."""
    refused = [OSError("away")]

    def flaky() -> AsyncSession:
        if refused:
            raise refused.pop()
        return sessions()

    tally = UnansweredTally(flaky)  # type: ignore[arg-type]  # called like a factory, which is all it needs
    tally.note(ForecastOutcome.FAILED)
    await tally.write()
    tally.note(ForecastOutcome.UNKNOWN)
    await tally.write()
    await tally.write()

    assert await crud.unanswered_since(db, ALL_TIME) == {"failed": 1, "unknown": 1}
