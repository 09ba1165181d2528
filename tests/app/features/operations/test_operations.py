"""What an administrator sees of sources, data, queues and jobs is what their own code left in the database."""

from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import bounded_connection_string
from app.core.jobs import COLLECT, RUN_TRAINING, TRAIN_QUEUE, defer
from app.features.after_close import crud as after_close
from app.features.after_close.steps import Step
from app.features.market_data import failures
from app.features.market_data.service import publish_windows
from app.features.market_data.source_limits import PostgresBudget, PostgresCircuit
from app.models.training_job import TrainingJob
from data_pipeline.sources.base import RateLimitedError, UnknownTickerError
from tests.app.accounts import Account
from tests.app.windows import make_window

NOW = datetime.now(UTC)


@pytest.fixture
async def troubled(db: AsyncSession, settings: Settings) -> None:
    """A source that is not asked any more, a ticker behind the others, an abandoned training, a failed step."""
    address = bounded_connection_string(settings)
    PostgresCircuit(address, "yfinance").set_state("opened", NOW.timestamp())
    PostgresBudget(address, "yfinance", requests_per_minute=60).acquire(1.0)
    for ticker in ("AMZN", "MSFT"):
        await failures.remember(db, ticker, RateLimitedError(ticker, "yfinance", "429", retry_after_seconds=60.0))
    await failures.remember(db, "NONE", UnknownTickerError("NONE", "yfinance", "no such symbol"))
    await publish_windows(db, [make_window("AAPL"), make_window("IBM", cutoff=date(2013, 2, 28))])
    await defer(db, COLLECT, lock="collect:AAPL")
    await defer(db, RUN_TRAINING, lock="run", queue=TRAIN_QUEUE)
    for status in ("doing", "failed"):  # as a worker takes it, and gives up
        change = text(
            "UPDATE procrastinate_jobs SET status = CAST(:status AS procrastinate_job_status) WHERE task_name = :task"
        )
        await db.execute(change, {"status": status, "task": COLLECT})
    db.add(
        TrainingJob(
            kind="train", reason="a test", spec={}, status="running", attempt=1, lease_until=NOW - timedelta(hours=1)
        )
    )
    run = await after_close.open_run(db, "XNYS", date(2013, 3, 1), NOW)
    assert run is not None
    attempt = await after_close.begin(db, run, Step.COLLECT, NOW)
    assert attempt is not None
    await db.commit()


async def test_each_trouble_shows_where_it_is(client: httpx.AsyncClient, admin: Account, troubled: None) -> None:
    """Breaker, causes, tickers behind, queues, leases and steps."""
    told = (await client.get("/operations", headers=admin.headers)).json()

    (source,) = told["sources"]
    assert (source["source"], source["circuit"], source["tokens"]) == ("yfinance", "opened", 9.0)
    assert datetime.fromisoformat(source["opened_at"]) == pytest.approx(NOW, abs=timedelta(seconds=1))
    causes = [(each["cause"], each["tickers"], each["example"]) for each in told["source_errors"]]
    assert causes == [("rate_limited", 2, "AMZN"), ("unknown_ticker", 1, "NONE")]
    assert told["source_errors"][1]["detail"] == "no such symbol"
    (exchange,) = told["data"]
    assert (exchange["tickers"], exchange["newest"], exchange["behind"]) == (2, "2013-03-01", 1)
    queues = {each["task"]: (each["queue"], each["waiting"], each["failed"]) for each in told["queues"]}
    assert queues == {COLLECT: ("data", 0, 1), RUN_TRAINING: ("train", 1, 0)}
    assert [(each["status"], each["jobs"], each["abandoned"]) for each in told["jobs"]] == [("running", 1, 1)]
    (close,) = told["closes"]
    assert [step["step"] for step in close["steps"]] == [step.value for step in Step]
    assert [step["state"] for step in close["steps"]] == ["running", *["waiting"] * 5]
    assert (told["workers"], told["scored_at"]) == (0, None)


async def test_what_is_over_is_not_told(
    client: httpx.AsyncClient, admin: Account, troubled: None, db: AsyncSession
) -> None:
    """Failures that are believed no more, and jobs that failed long ago."""
    await db.execute(text("UPDATE window_failures SET expires_at = now() - interval '1 second'"))
    await db.execute(text("UPDATE procrastinate_events SET at = now() - interval '8 days' WHERE type = 'failed'"))
    await db.execute(text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())"))
    await db.commit()

    told = (await client.get("/operations", headers=admin.headers)).json()

    assert told["source_errors"] == []
    assert [each["task"] for each in told["queues"]] == [RUN_TRAINING]
    assert told["workers"] == 1
