"""Workers and the processes of jobs are killed at random: no job hangs, no bundle is half, one is champion."""

import random

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from tests.app.features.training.conftest import StartWorker
from tests.app.features.training.sabotage import Sabotage, quick_specs


async def test_random_kills_leave_no_job_hanging_and_no_bundle_half(
    settings: Settings, sessions: async_sessionmaker[AsyncSession], start_worker: StartWorker
) -> None:
    """The short version of `make faults`."""
    sabotage = Sabotage(settings, sessions, start_worker, random.Random(7))

    await sabotage.run(quick_specs(20), kills=5, longest_pause=0.8)

    assert await sabotage.faults() == []
    assert sabotage.killed.total() == 5
