"""An installation with a past: a track record, two bundles, and a worker that trains and judges in seconds."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.passwords import PasswordHasher
from app.features.users.service import create_user
from tests.app.features.training.conftest import workers_of
from tests.app.serving import SECRET, serving
from tests.database import migrated_template, temporary_database
from tests.web import quick_work
from tests.web.installation import ADMIN, PASSWORD, USER
from tests.web.track_records import make_record

QUEUES = ("data", "train", "track")


@dataclass(frozen=True)
class Laboratory:
    """Where it answers, and what its processes were started with."""

    url: str
    settings: Settings


@contextmanager
def laboratory(folder: Path) -> Iterator[Laboratory]:
    """One that runs; ended on leaving."""
    with temporary_database(migrated_template()) as database:
        settings = Settings(
            _env_file=None,
            home=folder,
            database_url=SecretStr(database),
            jwt_secret=SecretStr(SECRET),
            sign_in_requests_per_minute=100_000,  # each page that is loaded refreshes its session
            log_level="ERROR",
        )
        with ThreadPoolExecutor(1) as aside:  # Playwright's loop runs in this thread
            aside.submit(lambda: asyncio.run(_prepare(settings))).result()
        limit = str(settings.sign_in_requests_per_minute)
        with (
            serving(folder, database, "web", CLOSECAST_SIGN_IN_REQUESTS_PER_MINUTE=limit) as server,
            workers_of(settings, quick_work.MODULE, program=quick_work.WORKER) as start,
        ):
            start(*QUEUES)
            server.wait_until_alive()
            yield Laboratory(str(server.http.base_url).rstrip("/"), settings)


async def _prepare(settings: Settings) -> None:
    engine = create_engine(settings)
    sessions = session_factory(engine)
    hasher = PasswordHasher(1)
    try:
        await make_record(settings, sessions)
        async with sessions() as db:
            await create_user(db, hasher, email=USER, password=PASSWORD)
            await create_user(db, hasher, email=ADMIN, password=PASSWORD, admin=True)
    finally:
        hasher.close()
        await engine.dispose()
