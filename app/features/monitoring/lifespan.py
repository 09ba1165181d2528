"""What an API process does to tell of itself and of the database, begun and ended with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.monitoring.process_watch import (
    hashing_waiting,
    log_rows_waiting,
    process_name,
    watch_process,
)
from app.core.passwords import PasswordHasher
from app.features.monitoring.database_figures import DatabaseFigures
from app.features.stock_prediction.log_writer import PredictionLogWriter


@asynccontextmanager
async def watched(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[None]:
    """Fill ``app.state.database_figures``, and watch this process; its sessions, passwords and log must be there."""
    passwords: PasswordHasher = app.state.passwords
    log: PredictionLogWriter = app.state.prediction_log
    app.state.database_figures = figures = DatabaseFigures(app.state.session_factory)
    figures.start()
    watching = asyncio.create_task(
        watch_process(
            process_name("api"),
            engine=engine,
            waiting={
                hashing_waiting: lambda: passwords.waiting,
                log_rows_waiting: lambda: log.waiting,
            },
        ),
        name="process-watch",
    )
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await figures.stop()
