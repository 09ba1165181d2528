"""The job worker: everything that needs the pipeline, so that the API does not."""

import asyncio
import logging
import signal
from collections.abc import Collection, Coroutine
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from procrastinate import App, JobContext
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status

from app.config import Settings
from app.core.audit_hook import guard_bundles
from app.core.database import DatabaseUnavailableError
from app.core.idempotency import delete_expired
from app.core.jobs import (
    DATA_QUEUE,
    FAILED_JOBS_KEPT,
    STALLED_AFTER_SECONDS,
    TRACK_QUEUE,
    TRAIN_QUEUE,
    WorkerTools,
    open_queue,
    tools_of,
)
from app.core.monitoring.collector import spans_told
from app.core.monitoring.job_spans import trace_job
from app.core.monitoring.logging import configure_logging
from app.core.monitoring.process_watch import process_name, watch_process
from app.features.after_close import tasks as after_close_tasks
from app.features.auth import tasks as auth_tasks
from app.features.cleaning import tasks as cleaning_tasks
from app.features.market_data import tasks as market_data_tasks
from app.features.monitoring import tasks as monitoring_tasks
from app.features.registry import tasks as registry_tasks
from app.features.stock_prediction import tasks as stock_prediction_tasks
from app.features.track_record import tasks as track_record_tasks
from app.features.training import tasks as training_tasks
from data_pipeline.processing.own_columns import allow

logger = logging.getLogger(__name__)

QUEUES = (DATA_QUEUE, TRAIN_QUEUE)  # what a worker is told to work on; the small one goes with training
# Jobs at once: while Yahoo is slow about one ticker, stored bars can still be published; a training takes all cores.
AT_ONCE = {DATA_QUEUE: 4, TRAIN_QUEUE: 1, TRACK_QUEUE: 1}
# For the jobs at hand, after SIGTERM: a training does not end so soon, it is put back and goes on elsewhere.
GRACE_SECONDS = {DATA_QUEUE: 20.0, TRAIN_QUEUE: 0.0, TRACK_QUEUE: 20.0}
AWAY_SECONDS = 2.0  # between two looks whether a database that went away is back


def possible_queues() -> tuple[str, ...]:
    """The queues that this installation has the requirements for."""
    return QUEUES if find_spec("tensorflow") is not None else (DATA_QUEUE,)


def run(settings: Settings, queues: Collection[str] = QUEUES) -> None:
    """Work on ``queues`` until SIGTERM or SIGINT, then finish the jobs at hand; a training is put back.

    A database that goes away meanwhile, as for a restart of its own, is waited for.

    Raises
    ------
    DatabaseUnavailableError : there is no database to take jobs from.
    """
    configure_logging(settings.log_level)
    allow(settings.columns)
    guard_bundles(settings.bundles, unpickles_elsewhere=True)  # yfinance keeps its cookies pickled
    try:
        with spans_told(settings, "closecast-worker"):
            asyncio.run(_run(settings, queues))
    except ConnectorException as error:
        raise DatabaseUnavailableError from error


async def _run(settings: Settings, queues: Collection[str]) -> None:
    """Work until told to end, each time anew when the database has come back."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await _work(settings, queues, told)
    while not told.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), AWAY_SECONDS)
            return
        with suppress(DatabaseUnavailableError):  # it is not back yet
            await _work(settings, queues, told)


async def _work(settings: Settings, queues: Collection[str], told: asyncio.Event) -> None:
    """Work until told to end, or until the database goes away; where it is away from the beginning, that is raised."""
    async with open_queue(settings) as (app, tools):
        worked_on = list(queues)
        if DATA_QUEUE in queues:
            add_data_tasks(app)
        if TRAIN_QUEUE in queues:
            training_tasks.add_tasks(app)
            registry_tasks.add_mirror(app)
            cleaning_tasks.add_runs(app)
            worked_on.append(TRACK_QUEUE)
        try:
            await restart_stalled_jobs(app)
            work = [_work_on(app, tools, queue) for queue in worked_on]
            beside = (training_tasks.look_after_jobs(tools), _watch(tools))
            await _until_told([*work, *beside], told)
        except ConnectorException as error:
            if told.is_set():
                raise
            logger.warning("the database went away, it is waited for: %s", error)


def add_data_tasks(app: App) -> None:
    """Let a worker run the jobs of the queue `data`, and look after the queue itself."""
    after_close_tasks.add_tasks(app)
    auth_tasks.add_tasks(app)
    market_data_tasks.add_tasks(app)
    monitoring_tasks.add_tasks(app)
    stock_prediction_tasks.add_tasks(app)
    registry_tasks.add_tasks(app)
    cleaning_tasks.add_tasks(app)
    track_record_tasks.add_tasks(app)
    add_upkeep(app)


async def _watch(tools: WorkerTools) -> None:
    """Tell of this process and of the connections that its jobs share; the queue's own are not among them."""
    await watch_process(process_name("worker"), engine=tools.sessions.kw["bind"])


async def _work_on(app: App, tools: WorkerTools, queue: str) -> None:
    """One queue has its own slots: however long a training takes, bars are collected meanwhile."""
    await app.run_worker_async(
        queues=[queue],
        concurrency=AT_ONCE[queue],
        delete_jobs="successful",
        shutdown_graceful_timeout=GRACE_SECONDS[queue],
        update_heartbeat_interval=STALLED_AFTER_SECONDS / 3,
        stalled_worker_timeout=STALLED_AFTER_SECONDS,
        install_signal_handlers=False,  # of two, the second would take the first one's place
        additional_context={"tools": tools},
        worker_middleware=[trace_job],
    )


async def _until_told(work: Collection[Coroutine[Any, Any, None]], told: asyncio.Event) -> None:
    """Run all of ``work`` until it is told to end, or one of them ends; its error is raised."""
    tasks = [asyncio.create_task(each) for each in (*work, told.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


def add_upkeep(app: App) -> None:
    """Let a worker look after the queue itself, and after what has expired."""
    minutely = app.task(name="restart_stalled", queue=DATA_QUEUE, queueing_lock="restart_stalled", pass_context=True)
    app.periodic(cron="* * * * *")(minutely(_restart_stalled))
    daily = app.task(name="drop_old_jobs", queue=DATA_QUEUE, queueing_lock="drop_old_jobs", pass_context=True)
    app.periodic(cron="41 3 * * *")(daily(_drop_old_jobs))
    hourly = app.task(name="forget_keys", queue=DATA_QUEUE, queueing_lock="forget_keys", pass_context=True)
    app.periodic(cron="23 * * * *")(hourly(_forget_expired_keys))


async def restart_stalled_jobs(app: App) -> int:
    """Put back what a killed worker was at, and gives their number: its lock would hold up its ticker for good.

    Every task may run twice.
    """
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS))
    for job in stalled:
        try:
            await app.job_manager.retry_job(job)
        except UniqueViolation:  # the same waits already: this one need not run again
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
    return len(stalled)


async def _restart_stalled(context: JobContext, timestamp: int) -> None:
    del timestamp
    await restart_stalled_jobs(context.app)


async def _forget_expired_keys(context: JobContext, timestamp: int) -> None:
    """Idempotency keys are kept for a day."""
    del timestamp
    async with tools_of(context).sessions() as db:
        await delete_expired(db)


async def _drop_old_jobs(context: JobContext, timestamp: int) -> None:
    del timestamp
    hours = int(FAILED_JOBS_KEPT / timedelta(hours=1))
    await context.app.job_manager.delete_old_jobs(nb_hours=hours, include_failed=True, include_aborted=True)
