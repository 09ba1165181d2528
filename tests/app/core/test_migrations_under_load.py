"""The schema changes under those who work with it: nothing is lost, nobody waits for long, two at once take turns."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import httpx
import psycopg
import pytest
from alembic.script import ScriptDirectory
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core import migrations
from app.core.migrations import (
    TablesBusyError,
    alembic_config,
    downgrade,
    newest_revision,
    serves,
    stored_revision,
    take_back,
    upgrade,
)
from app.features.market_data.service import publish_windows
from app.supervisor.errors import ServiceError
from app.supervisor.preparation import require_schema
from data_pipeline.errors import ConfigurationError
from tests.app.accounts import Account
from tests.app.windows import make_window
from tests.database import migrated_template, temporary_database

BEFORE_A_COLUMN_CAME = "0008"  # 0009 gives `bundles` one, which wants the table for itself
MIGRATION_LOCK = 0x636C6F7365  # as alembic/env.py has it
N_TICKERS = 400  # more than are asked for meanwhile: each answer freezes a forecast
N_CLIENTS = 4


def revisions() -> list[str]:
    """Newest first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]


@dataclass
class Load:
    """What the clients were told."""

    answers: list[httpx.Response] = field(default_factory=list)
    longest_seconds: float = 0.0


@asynccontextmanager
async def under_load(client: httpx.AsyncClient, headers: dict[str, str]) -> AsyncIterator[Load]:
    """Several clients ask for forecasts, each of a ticker of its own, without a pause."""
    load, tickers = Load(), iter(range(N_TICKERS))

    async def ask() -> None:
        for number in tickers:
            started = time.perf_counter()
            load.answers.append(await client.get(f"/predict/T{number:03d}", headers=headers))
            load.longest_seconds = max(load.longest_seconds, time.perf_counter() - started)

    asking = [asyncio.create_task(ask()) for _ in range(N_CLIENTS)]
    try:
        yield load
    finally:
        for task in asking:
            task.cancel()  # what is under way is answered to nobody, and may be logged
        await asyncio.gather(*asking, return_exceptions=True)


async def test_down_and_up_again_while_forecasts_are_frozen_and_logged(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, database_url: str
) -> None:
    """All are answered, and every answer is in the database afterwards; the newest revision's own tables came back."""
    await publish_windows(db, [make_window(f"T{number:03d}") for number in range(N_TICKERS)])
    newest, before = revisions()[:2]

    async with under_load(client, registered_user.headers) as load:
        await asyncio.sleep(0.1)
        for _ in range(2):
            await asyncio.to_thread(downgrade, database_url, before)
            await asyncio.to_thread(upgrade, database_url)
        await asyncio.sleep(0.1)

    assert {answer.status_code for answer in load.answers} == {200}
    assert len(load.answers) >= N_CLIENTS
    assert load.longest_seconds < migrations.LOCK_WAIT_SECONDS + 10
    told = {answer.json()["forecast_id"] for answer in load.answers}
    with psycopg.connect(database_url) as connection:
        frozen = {str(row[0]) for row in connection.execute("SELECT id FROM forecasts")}
        logged = {str(row[0]) for row in connection.execute("SELECT forecast_id FROM prediction_log")}
    assert told <= frozen
    assert told <= logged
    assert stored_revision(database_url) == newest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a tenth of the time."""
    monkeypatch.setattr(migrations, "LOCK_WAIT_SECONDS", 0.15)
    monkeypatch.setattr(migrations, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrations, "LONGEST_PAUSE_SECONDS", 0.2)


@contextmanager
def long_reader(url: str) -> Iterator[None]:
    """Somebody's report, in a transaction that does not end."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT * FROM bundles")
        yield


def read_as_serving_does(url: str) -> None:
    """Given up after a time that no attempt of a migration takes."""
    with psycopg.connect(url, options="-c statement_timeout=10000") as connection:
        connection.execute("SELECT * FROM bundles")


def test_an_attempt_of_a_migration_is_shorter_than_what_serving_waits() -> None:
    """By the settings that nobody changed: whoever waits behind an attempt is answered all the same."""
    assert Settings.model_fields["database_timeout_seconds"].default > migrations.LOCK_WAIT_SECONDS


@pytest.mark.usefixtures("impatient")
def test_nobody_waits_behind_a_migration_that_waits(database_url: str) -> None:
    """PostgreSQL has who comes later wait behind who wants the table for himself: for one short attempt here."""
    with ThreadPoolExecutor() as pool:
        with long_reader(database_url):
            migrating = pool.submit(downgrade, database_url, BEFORE_A_COLUMN_CAME)
            while not waits_for_a_table(database_url):
                time.sleep(0.01)
            for _ in range(5):
                read_as_serving_does(database_url)
            assert not migrating.done()
        migrating.result(timeout=120)

    assert stored_revision(database_url) == BEFORE_A_COLUMN_CAME


def waits_for_a_table(url: str) -> bool:
    with psycopg.connect(url) as connection:
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND NOT granted"
        return connection.execute(waiting).fetchone() is not None


@pytest.mark.usefixtures("impatient")
def test_who_keeps_a_table_for_good_ends_the_migration_and_nothing_was_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "PATIENCE_SECONDS", 0.5)
    with long_reader(database_url), pytest.raises(TablesBusyError, match="nothing was changed"):
        downgrade(database_url, BEFORE_A_COLUMN_CAME)

    assert stored_revision(database_url) == newest_revision()


@pytest.mark.usefixtures("impatient")
def test_two_migrations_at_once_take_turns_however_long_the_first_one_takes(database_url: str) -> None:
    """Two starts of a new release, as processes; waiting for one another has no limit, and nothing is done twice."""
    downgrade(database_url, BEFORE_A_COLUMN_CAME)
    migrate = f"from app.core.migrations import upgrade; upgrade({database_url!r})"

    with ThreadPoolExecutor() as pool, psycopg.connect(database_url) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        here = pool.submit(upgrade, database_url)
        there = subprocess.Popen([sys.executable, "-c", migrate])
        while len(waiting_for_their_turn(database_url)) < 2:
            time.sleep(0.05)
        time.sleep(0.3)  # longer than a table would be waited for
        assert len(waiting_for_their_turn(database_url)) == 2
        first.rollback()
        here.result(timeout=120)
        assert there.wait(timeout=120) == 0

    assert stored_revision(database_url) == newest_revision()


def waiting_for_their_turn(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        return [row[0] for row in connection.execute(waiting, [MIGRATION_LOCK & 0xFFFFFFFF])]


def test_a_database_of_a_newer_release_is_left_as_it_is(database_url: str) -> None:
    """The former release is put back: it has nothing to migrate, and works."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    upgrade(database_url)

    assert stored_revision(database_url) == "9999"
    assert serves("9999", newest_revision())


def test_the_way_back_leads_to_an_older_revision_of_ours_only(database_url: str) -> None:
    for wrong in (newest_revision(), "9999", "base"):
        with pytest.raises(ConfigurationError):
            take_back(database_url, wrong)

    take_back(database_url, BEFORE_A_COLUMN_CAME)

    assert stored_revision(database_url) == BEFORE_A_COLUMN_CAME


def test_revisions_are_numbered_in_their_order() -> None:
    """What tells a newer schema from an older one compares them."""
    assert revisions() == sorted(revisions(), reverse=True)
    assert {len(revision) for revision in revisions()} == {4}


@pytest.fixture
def unmigrated() -> Iterator[str]:
    """The newest schema but one."""
    with temporary_database(migrated_template()) as url:
        downgrade(url, revisions()[1])
        yield url


def test_the_check_waits_for_whoever_migrates(unmigrated: str) -> None:
    settings = Settings(_env_file=None, database_url=SecretStr(unmigrated))
    with pytest.raises(ServiceError, match=f"at {revisions()[1]}, {newest_revision()} is needed"):
        require_schema(settings, 0.0)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(require_schema, settings, 120.0)
        time.sleep(0.1)
        assert not waiting.done()
        upgrade(unmigrated)
        waiting.result(timeout=120)
