"""Yahoo fails in every way that it knows, while forecasts are asked for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import bounded_connection_string
from app.core.jobs import COLLECT, DATA_QUEUE, defer, open_queue
from app.features.market_data import collecting, tasks
from app.features.market_data.service import database_clock, publish_windows
from app.features.market_data.source_limits import PostgresCircuit
from app.features.market_data.sources import YAHOO
from data_pipeline.sources import yfinance_state
from data_pipeline.sources.circuit_breaker import FAILURES_TO_OPEN
from data_pipeline.sources.throttle import InMemoryBudget
from data_pipeline.sources.yfinance_collector import Backoff, YFinanceSource
from tests.app.accounts import Account
from tests.app.windows import fresh_window
from tests.fake_yahoo import FakeYahoo, answers
from tests.fake_yahoo.server import EVERYTHING

QUICK = Backoff(attempts=2, initial_seconds=0.01, longest_seconds=0.02, jitter_seconds=0.01)
TIMEOUT_SECONDS = 0.5
FAULTS = {
    "not_found": answers.NOT_FOUND,
    "too_many_requests": answers.TOO_MANY_REQUESTS,
    "bad_gateway": answers.BAD_GATEWAY,
    "maintenance": answers.MAINTENANCE,
    "hung_up": answers.HUNG_UP,
    "other_html": answers.OTHER_HTML,
    "result_null": answers.RESULT_NULL,
    "result_empty": answers.RESULT_EMPTY,
    "no_body": answers.NO_BODY,
    "silent": answers.RESULT_EMPTY.later(30),
    "dripping": answers.MAINTENANCE.dripping(0.2),
    "cut": answers.MAINTENANCE.cut(10),
}
WORKERS = 2


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing here is about users' limits."""
    return settings.model_copy(update={"burst_per_second": 100_000, "new_tickers_per_day": 100_000})


@pytest.fixture
def yahoo(tmp_path: Path) -> Iterator[FakeYahoo]:
    """A Yahoo that can be told how to fail."""
    yfinance_state.forget_client()
    with FakeYahoo(tmp_path) as fake:
        yield fake
    yfinance_state.forget_client()


@pytest.fixture
async def workers(yahoo: FakeYahoo, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Workers with a queue of their own each, whose sources share the circuit that PostgreSQL keeps."""
    session = yahoo.session()

    def open_sources(_settings: Settings) -> YFinanceSource:
        return YFinanceSource(
            settings.home / "cache",
            TIMEOUT_SECONDS,
            session=session,
            limiter=InMemoryBudget(60_000, burst=1_000),
            breaker=PostgresCircuit(bounded_connection_string(settings), YAHOO),
            backoff=QUICK,
        )

    monkeypatch.setattr(collecting, "open_sources", open_sources)
    async with contextlib.AsyncExitStack() as stack:
        running = []
        for _ in range(WORKERS):
            queue, tools = await stack.enter_async_context(open_queue(settings))
            tasks.add_tasks(queue)
            queue.periodic_registry.periodic_tasks.clear()  # nothing but what the test asks for
            working = queue.run_worker_async(
                queues=[DATA_QUEUE],
                concurrency=2,
                install_signal_handlers=False,
                fetch_job_polling_interval=0.2,
                additional_context={"tools": tools},
            )
            running.append(asyncio.create_task(working))
        yield
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    session.close()


async def wait_until_idle(db: AsyncSession) -> None:
    """Return when every job is done."""
    async with asyncio.timeout(60):
        while await db.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")):
            await db.rollback()
            await asyncio.sleep(0.05)
    await db.rollback()


async def collect(db: AsyncSession, ticker: str) -> None:
    """Have the workers ask for a ticker, and wait until they have."""
    asked_at = (await database_clock(db)).isoformat()
    await defer(db, COLLECT, lock=ticker, ticker=ticker, asked_at=asked_at)
    await db.commit()
    await wait_until_idle(db)


def close_circuit(settings: Settings) -> None:
    """As after a success."""
    circuit = PostgresCircuit(bounded_connection_string(settings), YAHOO)
    circuit.set_state("closed", None)
    circuit.reset_failures()


@pytest.mark.usefixtures("workers")
async def test_whatever_yahoo_says_stored_bars_are_answered_as_stale_and_too_old_ones_refused(
    client: httpx.AsyncClient, registered_user: Account, yahoo: FakeYahoo, db: AsyncSession, settings: Settings
) -> None:
    """Each fault with two tickers of its own: one that lacks a day, one that lacks more than the limit."""
    tickers = {fault: (f"A{number}", f"B{number}") for number, fault in enumerate(FAULTS)}
    for young, old in tickers.values():
        await publish_windows(db, [fresh_window(young, missing_days=1), fresh_window(old, missing_days=4)])
    told: dict[str, list[tuple[int, object]]] = {}
    for fault, both in tickers.items():
        yahoo.always_say(EVERYTHING, FAULTS[fault])
        before = len(yahoo.requests)
        first = [await client.get(f"/predict/{ticker}", headers=registered_user.headers) for ticker in both]
        await wait_until_idle(db)  # their refreshing has failed by then
        assert len(yahoo.requests) > before, fault
        later = [await client.get(f"/predict/{ticker}", headers=registered_user.headers) for ticker in both]
        close_circuit(settings)
        told[fault] = [(each.status_code, each.json().get("data", {}).get("stale")) for each in (*first, *later)]

    assert told == {fault: [(200, True), (503, None)] * 2 for fault in FAULTS}


@pytest.mark.usefixtures("workers")
async def test_while_the_circuit_is_open_no_worker_asks_yahoo_anything(
    client: httpx.AsyncClient, registered_user: Account, yahoo: FakeYahoo, db: AsyncSession, settings: Settings
) -> None:
    """Counted at Yahoo's end; stored bars are answered, an unseen ticker is told when to come back."""
    await publish_windows(db, [fresh_window("AAPL", missing_days=1)])
    yahoo.always_say(EVERYTHING, answers.BAD_GATEWAY)
    circuit = PostgresCircuit(bounded_connection_string(settings), YAHOO)
    for number in range(FAILURES_TO_OPEN):
        await collect(db, f"F{number}")
    assert circuit.read().state == "opened"
    before = len(yahoo.requests)

    for number in range(10):
        await collect(db, f"G{number}")
    stored = await client.get("/predict/AAPL", headers=registered_user.headers)
    unseen = await client.get("/predict/UNSEEN", headers=registered_user.headers)

    assert len(yahoo.requests) == before
    assert (stored.status_code, stored.json()["data"]["stale"]) == (200, True)
    assert (unseen.status_code, unseen.json()["type"]) == (503, "/problems/price-source-paused")
    assert 0 < int(unseen.headers["Retry-After"]) <= 60
