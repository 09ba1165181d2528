"""Workers killed at random while they judge challenges; and what must be true of challenges and ledger afterwards."""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app import worker
from app.config import Settings
from app.core.jobs import CHALLENGE, open_queue
from app.features.market_data.service import database_clock
from app.features.registry import challenges, promotion
from app.features.registry.crud import all_promotions
from app.features.registry.errors import AlreadyChampionError
from app.features.registry.service import ensure_reference_champion
from app.models.challenge import Challenge
from app.models.promotion import Promotion
from tests.app.features.training.conftest import StartWorker, kill

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
AT_ONCE = 2  # challenges that wait or are judged
STALLED_SECONDS = 3  # without a heartbeat; a worker of every day is given 30
PROGRAM = f"""
from app import worker
from app.config import Settings
from tests.app.features.registry import quick_judge
worker.STALLED_AFTER_SECONDS = {STALLED_SECONDS}
if {{module!r}} == quick_judge.__name__:
    quick_judge.take_over()
worker.run(Settings(), {{queues!r}})
"""
JUDGED = text(
    "SELECT count(*) FROM procrastinate_jobs AS job JOIN procrastinate_workers AS worker ON worker.id = job.worker_id "
    "WHERE job.task_name = :task AND job.status = 'doing' AND worker.last_heartbeat > :since"
)
LEFT = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task AND status IN ('todo', 'doing')")
FAILED = text("SELECT args->>'challenge_id' FROM procrastinate_jobs WHERE task_name = :task AND status = 'failed'")


@dataclass
class GateSabotage:
    """So many kills among workers that always come again, while ``rivals`` challenge whoever is champion."""

    settings: Settings
    sessions: async_sessionmaker[AsyncSession]
    start_worker: StartWorker
    rivals: list[str]
    chance: random.Random
    n_workers: int = 2
    eagerness: float = 0.4  # to kill rather than wait
    killed: int = 0
    struck_at: datetime = LONG_AGO
    asked: set[UUID] = field(default_factory=set)

    async def run(self, *, kills: int, longest_pause: float) -> None:
        """Ask, kill, and let everything come to its end."""
        async with self.sessions() as db:
            self.rivals.append(await ensure_reference_champion(db, self.settings))
        workers = [self.start_worker("data") for _ in range(self.n_workers)]
        while self.killed < kills:
            await self._ask()
            await asyncio.sleep(self.chance.uniform(0.0, longest_pause))
            await self._strike(workers)
            workers = [self._kept(each) for each in workers]
            await self._look_for_stalled()
        await self._all_decided(workers)

    async def _ask(self) -> None:
        """See that some challenges are open; now and then somebody is promoted by force meanwhile."""
        async with self.sessions() as db:
            for _ in range(AT_ONCE - (await db.scalar(LEFT, {"task": CHALLENGE}) or 0)):
                try:
                    self.asked.add((await challenges.ask(db, self.chance.choice(self.rivals), by="sabotage")).id)
                except AlreadyChampionError:
                    await db.rollback()
            if self.chance.random() < 0.1:
                try:
                    await promotion.force(db, self.chance.choice(self.rivals), reason="sabotage", by="sabotage")
                except AlreadyChampionError:
                    await db.rollback()

    async def _strike(self, workers: list[Any]) -> None:
        """One or more of the workers, now and then, while one that has come since judges a challenge."""
        async with self.sessions() as db:
            judged = await db.scalar(JUDGED, {"task": CHALLENGE, "since": self.struck_at}) or 0
            if not judged or self.chance.random() > self.eagerness:
                return
            victims = self.chance.sample(workers, self.chance.randint(1, len(workers)))
            for each in victims:
                kill(each.pid)
            self.killed += len(victims)
            self.struck_at = await database_clock(db)

    def _kept(self, process: Any) -> Any:
        return process if process.poll() is None else self.start_worker("data")

    async def _look_for_stalled(self) -> None:
        """What every worker does each minute, and when it starts."""
        async with open_queue(self.settings) as (app, _):
            await worker.restart_stalled_jobs(app)

    async def _all_decided(self, workers: list[Any], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and await self._left():
            await asyncio.sleep(0.5)
            await self._look_for_stalled()
            workers = [self._kept(each) for each in workers]

    async def _left(self) -> int:
        async with self.sessions() as db:
            return await db.scalar(LEFT, {"task": CHALLENGE}) or 0

    async def verdicts(self) -> dict[str, int]:
        """How many challenges came to which end."""
        async with self.sessions() as db:
            rows = (await db.scalars(text("SELECT verdict->'reasons'->>0 FROM challenges"))).all()
        return dict(Counter(reason or "passed" for reason in rows))

    async def faults(self) -> list[str]:
        """All that must not be."""
        async with self.sessions() as db:
            rows = list((await db.scalars(text("SELECT id FROM challenges ORDER BY decided_at"))).all())
            decided = [each for each in [await db.get(Challenge, row) for row in rows] if each is not None]
            ledger = await all_promotions(db)
            failed = (await db.scalars(FAILED, {"task": CHALLENGE})).all()
        found = [f"{await self._left()} challenges hang"] if await self._left() else []
        found += [f"the job of challenge {each} failed" for each in failed]
        found += [f"challenge {lost} was never decided" for lost in self.asked - {each.id for each in decided}]
        found += [f"challenge {each.id} was not asked for" for each in decided if each.id not in self.asked]
        found += _unlike(ledger, decided)
        found += _badly_counted(decided)
        return found + [
            f"line {line.id} of the ledger follows on another champion than line {former.id} made"
            for former, line in pairwise(ledger)
            if line.previous_bundle_id != former.bundle_id or line.bundle_id == former.bundle_id
        ]


def _unlike(ledger: Any, decided: list[Challenge]) -> list[str]:
    """Each challenge that passed has made one line of the ledger, with its figures; nothing else has."""

    def told(bundle: str, former: str | None, figures: dict[str, Any] | None) -> str:
        return json.dumps([bundle, former, figures], sort_keys=True)

    lines: list[Promotion] = [line for line in ledger if line.kind == "gate"]
    made = Counter(told(line.bundle_id, line.previous_bundle_id, line.figures) for line in lines)
    passed = Counter(told(each.bundle_id, each.champion_id, each.verdict) for each in decided if each.passed)
    return [f"{len(lines)} lines by the gate for {passed.total()} challenges that passed"] if made != passed else []


def _badly_counted(decided: list[Challenge]) -> list[str]:
    """The tests of each champion are numbered without a gap: none is forgotten, none spends twice."""
    numbers: dict[str, list[int]] = {}
    for each in decided:
        if each.test_number is not None:
            numbers.setdefault(each.champion_id, []).append(each.test_number)
    return [
        f"the tests of {champion[:12]} are numbered {found}"
        for champion, found in numbers.items()
        if found != list(range(1, len(found) + 1))
    ]
