"""Workers are killed while they judge challenges: each is decided once, and the ledger has one champion."""

import random

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.registry import crud
from app.features.registry.service import ensure_reference_champion
from tests.app.features.registry import quick_judge
from tests.app.features.registry.gate_sabotage import PROGRAM, GateSabotage
from tests.app.features.registry.test_challenges import challenger, decided
from tests.app.features.training.conftest import workers_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With patience, for a machine that is busy; workers have their own."""
    return settings.model_copy(update={"database_timeout_seconds": 30.0})


async def test_workers_that_are_killed_while_they_judge_decide_each_challenge_once(
    settings: Settings, sessions: async_sessionmaker[AsyncSession], db: AsyncSession
) -> None:
    """The short version of `make faults`."""
    rivals = [await challenger(db, settings, 950 + number) for number in range(3)]
    with workers_of(settings, quick_judge.__name__, program=PROGRAM) as start:
        sabotage = GateSabotage(settings, sessions, start, rivals, random.Random(7), n_workers=1, eagerness=1.0)

        await sabotage.run(kills=1, longest_pause=0.5)

    assert await sabotage.faults() == []
    assert sabotage.asked
    assert sabotage.killed == 1


async def test_two_runs_of_one_challenge_decide_it_once(db: AsyncSession, settings: Settings) -> None:
    """A worker that was only held up may come to its verdict after the one that took its place."""
    reference = await ensure_reference_champion(db, settings)
    bundle = await challenger(db, settings)
    first = await decided(db, bundle, reference, quick_judge.proven())

    again = await decided(db, bundle, reference, quick_judge.unproven(), challenge_id=first.id)

    assert (again.id, again.passed, again.test_number) == (first.id, True, 1)
    assert [line.kind for line in await crud.newest_promotions(db, limit=9)] == ["gate", "reference"]
