"""Workers and the processes of jobs, killed at random moments; and what must be true when all is over.

``python -m tests.app.features.training.sabotage`` is the long version: 40 kills of jobs that take a moment, 10 of real
trainings; and of workers that judge challenges, 20 in a moment and 10 on bars (``gate_sabotage``).
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.features.registry import judging, promotion
from app.features.registry.crud import all_promotions
from app.features.registry.errors import AlreadyChampionError
from app.features.registry.service import ensure_reference_champion, register_bundle
from app.features.training import process, service
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from tests.app.features.registry import gate_sabotage, quick_judge
from tests.app.features.registry.challengers import store_bars, wide_network
from tests.app.features.training import quick_child
from tests.app.features.training.conftest import LEASE_SECONDS, StartWorker, kill, workers_of
from tests.database import migrated_template, temporary_database
from tests.faults.processes import children_of

WORKERS = 2
RIVALS = 3  # promoted by force, at once
CHILD = "training"  # in the command line of a job's process
PATIENCE_SECONDS = 60.0  # of who looks on; workers have their own
SECRET = "a-test-key-of-3f9c1e77b2d04a68-characters"
TINY = {"lookback": 10, "hidden_size": 4, "every_days": 20, "epochs": 1, "validate_every": 5, "gate_days": 0}
ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Sabotage:
    """So many kills among workers that always come again, while jobs are asked for."""

    settings: Settings
    sessions: async_sessionmaker[AsyncSession]
    start_worker: StartWorker
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    jobs: list[UUID] = field(default_factory=list)
    rivals: list[str] = field(default_factory=list)

    async def run(self, specs: list[Mapping[str, Any]], *, kills: int, longest_pause: float) -> None:
        """Ask, kill, and let everything come to its end."""
        async with self.sessions() as db:
            await ensure_reference_champion(db, self.settings)
            for number in range(RIVALS):
                folder = quick_child.write_some_bundle(self.settings.bundles, history_used=800 + number)
                self.rivals.append(await register_bundle(db, folder))
        workers = [self.start_worker("train") for _ in range(WORKERS)]
        waiting = list(specs)
        while self.killed.total() < kills:
            await self._ask(waiting)
            await asyncio.sleep(self.chance.uniform(0.0, longest_pause))
            self._strike(workers)
            await asyncio.gather(*(self._promote(each) for each in self.chance.sample(self.rivals, RIVALS)))
            workers = [self._kept(worker) for worker in workers]
        await self._all_ended(workers)

    async def _ask(self, waiting: list[Mapping[str, Any]]) -> None:
        """See that as many jobs are open as there are workers."""
        async with self.sessions() as db:
            open_jobs = await db.scalar(text("SELECT count(*) FROM training_jobs WHERE finished_at IS NULL")) or 0
            for _ in range(WORKERS - open_jobs):
                spec = waiting.pop(0)
                asked = await service.start_job(db, kind="train", spec=spec, owner=None, reason="sabotage")
                self.jobs.append(asked.id)
            await db.commit()

    async def _promote(self, bundle_id: str) -> None:
        """One of several at once, as administrators at several machines do."""
        async with self.sessions() as db:
            with suppress(AlreadyChampionError):
                await promotion.force(db, bundle_id, reason="sabotage", by="sabotage")

    def _strike(self, workers: list[Any]) -> None:
        """Mostly whoever is at work; now and then one that has just been started, or waits."""
        at_work = [(worker, children_of(worker.pid, CHILD)) for worker in workers]
        busy = [(worker.pid, children[0]) for worker, children in at_work if children]
        if busy and self.chance.random() < 0.9:
            worker, child = self.chance.choice(busy)
            victim = self.chance.choice(["worker", "child"])
            kill(child if victim == "child" else worker)
        elif self.chance.random() < 0.05:
            victim = "idle worker"
            kill(self.chance.choice(workers).pid)
        else:
            return
        self.killed[victim] += 1

    def _kept(self, worker: Any) -> Any:
        return worker if worker.poll() is None else self.start_worker("train")

    async def _all_ended(self, workers: list[Any], seconds: float = 400.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and await self.statuses(lambda status: status not in ENDED):
            await asyncio.sleep(0.2)
            workers = [self._kept(worker) for worker in workers]
        deadline = time.monotonic() + PATIENCE_SECONDS  # a worker cleans up after it has told that the job ended
        while time.monotonic() < deadline and self._left():  # noqa: ASYNC110 (other processes)
            await asyncio.sleep(0.1)

    def _left(self) -> list[str]:
        """What lies where jobs work, and among the bundles without being one."""
        jobs = self.settings.home / "jobs"
        at_work = [f"{entry.name} was left at work" for entry in (jobs.iterdir() if jobs.is_dir() else ())]
        written = self.settings.bundles.iterdir()
        return [*at_work, *(f"{entry.name} was left" for entry in written if not self._loads(entry.name))]

    async def statuses(self, wanted: Callable[[str], bool] = lambda _: True) -> Counter[str]:
        """How many jobs stand how."""
        async with self.sessions() as db:
            rows = await db.execute(text("SELECT status FROM training_jobs"))
            return Counter(status for (status,) in rows if wanted(status))

    async def faults(self) -> list[str]:
        """All that must not be."""
        async with self.sessions() as db:
            rows = (await db.execute(text("SELECT id, status, failure, result->>'bundle' FROM training_jobs"))).all()
            registered = set((await db.execute(text("SELECT id FROM bundles"))).scalars())
            ledger = await all_promotions(db)
        found = [f"job {job_id} hangs: {status}" for job_id, status, _, _ in rows if status not in ENDED]
        found += [f"job {job_id} gives no reason" for job_id, status, why, _ in rows if status == "failed" and not why]
        found += [f"bundle {made} is not registered" for *_, made in rows if made and made not in registered]
        found += [f"bundle {bundle_id} does not load" for bundle_id in registered if not self._loads(bundle_id)]
        found += [] if len(ledger) > RIVALS else [f"{len(ledger)} promotions: nobody was promoted"]
        found += [
            f"line {line.id} of the ledger follows on another champion than line {former.id} made"
            for former, line in pairwise(ledger)
            if line.previous_bundle_id != former.bundle_id or line.bundle_id == former.bundle_id
        ]
        return found + self._left()

    def _loads(self, bundle_id: str) -> bool:
        try:
            load_bundle(self.settings.bundles / bundle_id)
        except BundleRefusedError:
            return False
        return True


def quick_specs(number: int) -> list[Mapping[str, Any]]:
    """Jobs of `quick_child`, each with a bundle of its own."""
    return [{"steps": 6, "step_seconds": 0.05, "history_used": 900 + each} for each in range(number)]


def real_specs(number: int) -> list[Mapping[str, Any]]:
    """Trainings of a tiny network."""
    return [{"content": {**TINY, "seed": each}, "tickers": ["IBM"]} for each in range(number)]


async def _lay(settings: Settings, module: str, specs: list[Mapping[str, Any]], *, kills: int, pause: float) -> bool:
    engine = create_engine(settings)
    with workers_of(settings, module) as start:
        sabotage = Sabotage(settings, session_factory(engine), start, random.Random(kills))
        await sabotage.run(specs, kills=kills, longest_pause=pause)
        faults, ended = await sabotage.faults(), await sabotage.statuses()
    await engine.dispose()
    print(f"killed {dict(sabotage.killed)}, {len(sabotage.jobs)} jobs: {dict(ended)}")  # noqa: T201 (its result)
    print("\n".join(faults) or "no job hangs, no bundle is half, one champion at a time")  # noqa: T201
    return not faults


async def _challenge(settings: Settings, module: str, *, kills: int, pause: float) -> bool:
    """Networks that are worse than the reference, and are put before it by force now and then: it wins back."""
    store_bars(settings)
    engine = create_engine(settings)
    sessions = session_factory(engine)
    async with sessions() as db:
        rivals = [await wide_network(db, settings, width=1.0 + number / 10) for number in range(RIVALS)]
    with workers_of(settings, module, program=gate_sabotage.PROGRAM) as start:
        sabotage = gate_sabotage.GateSabotage(settings, sessions, start, rivals, random.Random(kills))
        await sabotage.run(kills=kills, longest_pause=pause)
        faults, verdicts = await sabotage.faults(), await sabotage.verdicts()
    await engine.dispose()
    print(f"killed {sabotage.killed} workers, {len(sabotage.asked)} challenges: {verdicts}")  # noqa: T201
    print("\n".join(faults) or "each challenge is decided once, one champion at a time")  # noqa: T201
    return not faults


@contextmanager
def _installation(*, lease: float = LEASE_SECONDS) -> Iterator[Settings]:
    """A database and a folder of its own."""
    with tempfile.TemporaryDirectory() as home, temporary_database(migrated_template()) as url:
        yield Settings(
            _env_file=None,
            home=Path(home),
            database_url=SecretStr(url),
            jwt_secret=SecretStr(SECRET),
            job_lease_seconds=lease,
            database_timeout_seconds=PATIENCE_SECONDS,
            log_level="ERROR",
        )


def main() -> int:
    """Jobs and challenges of both kinds, each in an installation of its own; 1 where something is as it must not be."""
    rounds = (
        (quick_child.MODULE, quick_specs(200), 40, 0.8, LEASE_SECONDS),
        (process.MODULE, real_specs(50), 10, 20.0, 3 * LEASE_SECONDS),
    )
    sound = True
    for module, specs, kills, pause, lease in rounds:
        with _installation(lease=lease) as settings:
            collect(FeatureStore(settings.bars_uri), SampleSource(), ["IBM"])
            sound &= asyncio.run(_lay(settings, module, specs, kills=kills, pause=pause))
    for module, kills, pause in ((quick_judge.__name__, 20, 0.5), (judging.__name__, 10, 1.0)):
        with _installation() as settings:
            sound &= asyncio.run(_challenge(settings, module, kills=kills, pause=pause))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
