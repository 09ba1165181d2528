"""A real worker beside the application, on a price source that a test can script."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from app.config import Settings
from app.core.jobs import DATA_QUEUE, open_queue
from app.features.market_data import collecting, tasks
from tests.app.scripted_source import ScriptedSource


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ScriptedSource:
    """What the worker asks for prices."""
    source = ScriptedSource()
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: source)
    return source


@pytest.fixture
async def worker(settings: Settings, source: ScriptedSource) -> AsyncIterator[None]:
    """A worker that runs the jobs about bars until the test ends."""
    async with open_queue(settings) as (app, tools):
        tasks.add_tasks(app)
        app.periodic_registry.periodic_tasks.clear()  # nothing but what the test asks for
        running = asyncio.create_task(
            app.run_worker_async(
                queues=[DATA_QUEUE],
                concurrency=2,
                install_signal_handlers=False,
                additional_context={"tools": tools},
            )
        )
        yield
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
