"""Jobs about bars. The pipeline is imported inside the tasks: who only enqueues them must not carry it."""

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta

from procrastinate import App, JobContext

from app.core.jobs import COLLECT, DATA_QUEUE, PUBLISH_WINDOW, WorkerTools, tools_of
from app.core.monitoring.metrics import count_source_error
from app.features.market_data import failures, service
from data_pipeline.errors import ClosecastError
from data_pipeline.sources.base import PriceSourceError

logger = logging.getLogger(__name__)

DROP_KEPT = "drop_kept_windows"


def add_tasks(app: App) -> None:
    """Let a worker run the jobs about bars."""
    app.task(name=COLLECT, queue=DATA_QUEUE, pass_context=True)(collect)
    app.task(name=PUBLISH_WINDOW, queue=DATA_QUEUE, pass_context=True)(publish_window)
    drop = app.task(name=DROP_KEPT, queue=DATA_QUEUE, queueing_lock=DROP_KEPT, pass_context=True)
    app.periodic(cron="29 3 * * *")(drop(drop_kept_windows))  # UTC


async def collect(context: JobContext, ticker: str, asked_at: str) -> None:
    """Bring one ticker's bars up to date and publish its window, or remember why that failed.

    Nothing is left to do where another job has come to an end since ``asked_at`` (by the database's clock).
    """
    await collect_and_publish(tools_of(context), [ticker], asked_at)


async def publish_window(context: JobContext, ticker: str, as_of: str) -> None:
    """Build and keep the window of one ticker up to a past day, or remember why there is none."""
    from app.features.market_data.collecting import build_window

    tools, day = tools_of(context), date.fromisoformat(as_of)
    async with tools.sessions() as db:
        if await service.is_kept(db, ticker, day):
            return
    try:
        window = await asyncio.to_thread(build_window, tools.settings, ticker, day)
    except ClosecastError as error:
        await _remember(tools, [ticker], error, as_of=day)
        return
    async with tools.sessions() as db:
        await service.publish_windows(db, [window])


async def drop_kept_windows(context: JobContext, timestamp: int) -> None:
    """Delete the windows of past days that were built too long ago; whoever asks again has them built again."""
    tools = tools_of(context)
    built_before = datetime.fromtimestamp(timestamp, UTC) - timedelta(days=tools.settings.kept_window_days)
    async with tools.sessions() as db:
        await service.drop_kept_windows(db, built_before)


async def collect_and_publish(tools: WorkerTools, tickers: list[str], asked_at: str) -> None:
    """Bring these tickers up to date in one data version, as ``collect`` does one."""
    from app.features.market_data.collecting import collect_tickers

    async with tools.sessions() as db:
        open_tickers = await service.not_settled(db, tickers, datetime.fromisoformat(asked_at))
    if not open_tickers:
        return
    try:
        collected = await asyncio.to_thread(collect_tickers, tools.settings, open_tickers)
    except ClosecastError as trouble:  # of no single ticker: the store, a setting, a calendar
        await _remember(tools, open_tickers, trouble)
        return
    for source_error in collected.source_errors:
        count_source_error(source_error)
    async with tools.sessions() as db:
        await service.publish_windows(db, collected.windows, collected.reports)
        for ticker, error in collected.errors.items():
            await failures.remember(db, ticker, error)


async def _remember(
    tools: WorkerTools, tickers: list[str], error: ClosecastError, *, as_of: date | None = None
) -> None:
    """Tell whoever waits; the job is over, so that the next request after a while tries anew."""
    if not isinstance(error, PriceSourceError):
        logger.error("bars of %s could not be prepared: %s: %s", ", ".join(tickers), type(error).__name__, error)
    async with tools.sessions() as db:
        for ticker in tickers:
            await failures.remember(db, ticker, error, as_of=as_of)
