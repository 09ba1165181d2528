"""Aliases in MLflow follow the promotion ledger (what MLflow makes of them: tests of ``tracking``)."""

import logging
from collections.abc import Mapping

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import WorkerTools
from app.core.tracking import tracker_of
from app.features.registry import mirror, promotion, service, shadows
from app.features.registry.mirror import Mirror, aliases_of
from ml_lifecycle.training.mlflow_delivery import Tracker
from tests.app.bundles import write_bundle_with


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With MLflow."""
    return settings.model_copy(update={"tracking": True})


async def registered(db: AsyncSession, settings: Settings, seed: int) -> str:
    """A bundle of its own."""
    return await service.register_bundle(db, write_bundle_with(settings.bundles, seed=seed))


async def test_aliases_say_what_the_ledger_says(db: AsyncSession, settings: Settings) -> None:
    """Promotion, shadow, roll-back, each as soon as it is committed; nobody is champion and challenger at once."""
    assert await aliases_of(db) == {}

    reference = await service.ensure_reference_champion(db, settings)
    first, second = [await registered(db, settings, seed) for seed in (101, 102)]
    assert await aliases_of(db) == {"champion": reference}

    await shadows.decide(db, first, shadowing=True, reason=None, by="ann")
    await shadows.decide(db, second, shadowing=True, reason=None, by="ann")
    assert await aliases_of(db) == {"champion": reference, "challenger": second}

    await promotion.force(db, second, reason="a test", by="ann")
    assert await aliases_of(db) == {"champion": second, "challenger": first}

    await shadows.decide(db, first, shadowing=False, reason=None, by="ann")
    await promotion.roll_back(db, reason=None, by="ann")
    assert await aliases_of(db) == {"champion": reference, "challenger": second}  # it is a shadow still


async def test_mlflow_is_told_after_a_decision_and_not_each_minute(
    db: AsyncSession,
    settings: Settings,
    sessions: async_sessionmaker[AsyncSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each time costs a process that imports MLflow; within the hour what somebody changed there is put right."""
    told: list[Mapping[str, str]] = []

    def tell(_tracker: Tracker, _settings: Settings, aliases: Mapping[str, str]) -> list[str]:
        told.append(aliases)
        return []

    monkeypatch.setattr(mirror, "tell", tell)
    now = [1000.0]
    monkeypatch.setattr(mirror, "monotonic", lambda: now[0])
    reference = await service.ensure_reference_champion(db, settings)
    follower, tools = Mirror(), WorkerTools(settings, sessions)

    await follower.follow(tools)
    await follower.follow(tools)
    assert told == [{"champion": reference}]

    second = await registered(db, settings, 102)
    await promotion.force(db, second, reason="a test", by="ann")
    await follower.follow(tools)
    assert told[1:] == [{"champion": second}]

    now[0] += mirror.REPAIR_SECONDS + 1
    await follower.follow(tools)
    assert len(told) == 3


async def test_an_mlflow_that_is_away_leaves_a_line_and_is_asked_again_later(
    db: AsyncSession,
    settings: Settings,
    sessions: async_sessionmaker[AsyncSession],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await service.ensure_reference_champion(db, settings)
    monkeypatch.setattr("sys.executable", "/bin/false")
    follower, tools = Mirror(), WorkerTools(settings, sessions)

    with caplog.at_level(logging.WARNING):
        await follower.follow(tools)
        await follower.follow(tools)

    (line,) = [record.message for record in caplog.records if record.name == mirror.__name__]
    assert line.startswith("aliases stay as they were: MLflow at sqlite:///")


async def test_where_nothing_is_tracked_nobody_is_asked(
    db: AsyncSession, settings: Settings, sessions: async_sessionmaker[AsyncSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "aliases_of", None)
    quiet = settings.model_copy(update={"tracking": False})

    await Mirror().follow(WorkerTools(quiet, sessions))

    assert tracker_of(quiet) is None
