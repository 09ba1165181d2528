"""A backup, taken while others write, is restored into a fresh home that answers the same; damaged ones are refused."""

import asyncio
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.backup import service as backup
from app.backup.archive import Manifest
from app.backup.errors import BackupRefusedError, NotEmptyError
from app.config import Settings
from app.core.cleaning_lock import BusyError, alone
from app.core.database import create_engine, session_factory
from app.core.jobs import WorkerTools
from app.core.migrations import downgrade, known_revisions, newest_revision, stored_revision
from app.core.passwords import PasswordHasher
from app.features.registry import promotion, service
from app.features.stock_prediction import crud
from app.features.track_record.chain import seal_days, verify_chain
from app.features.users.service import create_user
from app.main import create_app
from app.models.forecast import Forecast
from app.supervisor.errors import ServiceError
from app.supervisor.one_session import one_session, own_sessions
from app.supervisor.postgres import EmbeddedPostgres
from data_pipeline.storage.feature_store import FeatureStore
from tests.app.accounts import sign_in
from tests.app.bundles import write_bundle_with
from tests.app.freezing import freeze
from tests.app.serving import SECRET
from tests.app.windows import make_window
from tests.data_pipeline.storage.rows import make_rows
from tests.database import migrated_template, temporary_database

PASSWORD = "correct horse battery 7"
DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5)]
TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
)


@dataclass(frozen=True)
class Taken:
    """An installation, the archive of it, and the forecast that it froze."""

    settings: Settings
    file: Path
    manifest: Manifest
    forecast: Forecast
    rows: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """One archive, taken while somebody else writes without a pause."""
    folder = tmp_path_factory.mktemp("a backup")
    with temporary_database(migrated_template()) as url:
        settings = Settings(_env_file=None, home=folder / "home", database_url=SecretStr(url))
        forecast = asyncio.run(_install(settings))
        rows = _digests(url)
        with _writer(url):
            manifest = backup.back_up(settings, folder / "all.tar")
        yield Taken(settings, folder / "all.tar", manifest, forecast, rows)


async def _install(settings: Settings) -> Forecast:
    """A reference, a former champion, two versions of bars, a frozen forecast whose day is sealed, an administrator."""
    store = FeatureStore(settings.bars_uri)
    for price in (1.0, 2.0):
        store.merge(make_rows("AAA", DAYS, [price] * 4))
    passwords = PasswordHasher(1)
    engine = create_engine(settings)
    try:
        sessions: async_sessionmaker[AsyncSession] = session_factory(engine)
        forecast = await freeze(sessions, settings, make_window("AAPL"))
        async with sessions() as db:
            bundle = await service.register_bundle(db, write_bundle_with(settings.bundles, seed=5))
            await promotion.force(db, bundle, reason="a test", by="ann")
            await create_user(db, passwords, email="root@example.org", password=PASSWORD, admin=True)
        passwords.close()
        later = datetime.now(UTC) + timedelta(days=2)
        assert await seal_days(WorkerTools(settings, sessions, clock=lambda: later)) == 1
        return forecast
    finally:
        await engine.dispose()


def _digests(url: str) -> dict[str, tuple[int, str]]:
    """Rows and their digest by table, whatever order they lie in."""
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute(TABLES)]
        found = {}
        for name in names:
            counted = sql.SQL("SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t")
            row = connection.execute(counted.format(sql.SQL(name))).fetchone()
            assert row is not None
            found[name] = (row[0], row[1])
        return found


class _writer:  # noqa: N801 (a context manager)
    """Rows committed all the while in a table that nothing else writes."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.is_set():
                connection.execute("INSERT INTO source_circuits (source) VALUES (gen_random_uuid()::text)")


@pytest.fixture(scope="module")
def restored(taken: Taken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A fresh home with an embedded database of its own, filled from the archive, its server running."""
    home = tmp_path_factory.mktemp("pg") / "new"
    settings = Settings(_env_file=None, home=home)
    backup.restore(settings, taken.file)
    server = EmbeddedPostgres(home / "postgres")
    server.start()
    yield settings.model_copy(update={"database_url": SecretStr(server.url())})
    server.stop()


def url_of(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


def test_every_row_is_there_again(taken: Taken, restored: Settings) -> None:
    """Frozen tables, partitions, jobs and schema version; what was being written is there as of one instant."""
    rows = _digests(url_of(restored))
    busy = "public.source_circuits"

    assert {name: found for name, found in rows.items() if name != busy} == {
        name: found for name, found in taken.rows.items() if name != busy
    }
    assert rows["public.forecasts"][0] == 1


async def test_the_same_forecast_is_read_and_still_frozen(taken: Taken, restored: Settings) -> None:
    """Its bundle loads as champion did, its bars are there in both versions, and triggers refuse as before."""
    from app.features.registry.champion import ChampionHolder

    engine = create_engine(restored)
    try:
        sessions = session_factory(engine)
        async with sessions() as db:
            forecast = taken.forecast
            again = await crud.find_forecast(db, forecast.bundle_id, forecast.ticker, forecast.cutoff)
        holder = ChampionHolder(sessions, restored)
        await holder.reload()
    finally:
        await engine.dispose()

    assert again is not None
    for name in ("id", "made_at", "anchor", "log_returns", "naive_log_returns", "probability_up", "data_version"):
        assert getattr(again, name) == getattr(forecast, name)
    assert holder.serving(forecast.made_at).promotion == "forced"
    store = FeatureStore(restored.bars_uri)
    assert [store.read_bar_arrays("AAA", version.version).close[0] for version in store.versions()] == [1.0, 2.0]
    with psycopg.connect(url_of(restored)) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE forecasts SET anchor = 1")


async def test_the_chain_over_frozen_forecasts_is_whole_and_still_tells_a_change(
    taken: Taken, restored: Settings
) -> None:
    """As `closecast verify-log` finds it; what was sealed before the disaster is what it is held against."""
    async with own_sessions(taken.settings) as sessions:
        noted = (await verify_chain(sessions)).head
    assert noted is not None
    async with own_sessions(restored) as sessions:
        whole = await verify_chain(sessions, noted_head=noted.head)
        with psycopg.connect(url_of(restored)) as connection:
            change_behind_the_triggers(connection, taken.forecast.anchor + 1)
        changed = await verify_chain(sessions)
        with psycopg.connect(url_of(restored)) as connection:
            change_behind_the_triggers(connection, taken.forecast.anchor)

    assert (whole.days, whole.forecasts, whole.findings) == (1, 1, ())
    assert whole.head == noted
    assert [finding.forecast_id for finding in changed.findings] == [taken.forecast.id]


def change_behind_the_triggers(connection: psycopg.Connection, anchor: float) -> None:
    connection.execute("ALTER TABLE forecasts DISABLE TRIGGER ALL")
    connection.execute("UPDATE forecasts SET anchor = %s", [anchor])
    connection.execute("ALTER TABLE forecasts ENABLE ALWAYS TRIGGER forecasts_are_append_only")


async def test_who_had_an_account_signs_in_with_the_scopes_he_had(restored: Settings) -> None:
    settings = restored.model_copy(update={"jwt_secret": SecretStr(SECRET)})
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        account = await sign_in(client, email="root@example.org", password=PASSWORD)
        users = await client.get("/users", headers=account.headers)

    assert users.status_code == 200  # administrators alone may ask


@pytest.fixture
def owned_database() -> Iterator[str]:
    """An empty database of a PostgreSQL role that is no superuser, as managed servers give one."""
    with temporary_database() as url, psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute("CREATE ROLE closecast_owner LOGIN")
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO closecast_owner").format(name))
        yield make_url(url).set(username="closecast_owner").render_as_string(hide_password=False)
        connection.execute("REASSIGN OWNED BY closecast_owner TO CURRENT_USER")
        connection.execute("DROP OWNED BY closecast_owner")
        connection.execute("DROP ROLE closecast_owner")


def test_another_role_that_is_no_superuser_owns_all_that_it_restores(
    taken: Taken, owned_database: str, tmp_path: Path
) -> None:
    """Owners and grants of the first server are not in an archive: its roles need not exist on the second."""
    target = Settings(_env_file=None, home=tmp_path / "new", database_url=SecretStr(owned_database))

    backup.restore(target, taken.file)

    with psycopg.connect(owned_database) as connection:
        owners = {row[0] for row in connection.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")}
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM forecasts")
    assert owners == {"closecast_owner"}
    assert _digests(owned_database)["public.users"] == taken.rows["public.users"]


def test_an_archive_of_the_release_before_is_brought_up_to_date(taken: Taken, tmp_path: Path) -> None:
    before = sorted(known_revisions())[-2]
    with temporary_database(migrated_template()) as old, temporary_database() as new:
        downgrade(old, before)
        source = taken.settings.model_copy(update={"database_url": SecretStr(old)})
        assert backup.back_up(source, tmp_path / "old.tar").revision == before
        target = Settings(_env_file=None, home=tmp_path / "new", database_url=SecretStr(new))
        backup.restore(target, tmp_path / "old.tar")

        assert stored_revision(new) == newest_revision()


async def test_ledgers_go_on_where_they_were(taken: Taken, restored: Settings) -> None:
    """A sequence that began anew would give a number twice."""
    async with one_session(restored) as db:
        line = await promotion.roll_back(db, reason=None, by="ann")

    assert line.id == taken.rows["public.promotions"][0] + 1


def test_what_holds_something_is_left_as_it_is(taken: Taken, restored: Settings) -> None:
    before = _digests(url_of(restored))

    with pytest.raises(NotEmptyError, match=r"something already \(the database, bars, bundles\): --force"):
        backup.restore(restored, taken.file)

    assert _digests(url_of(restored)) == before


def test_force_replaces_it(taken: Taken, restored: Settings) -> None:
    (restored.bundles / "stray").mkdir()
    with psycopg.connect(url_of(restored)) as connection:
        connection.execute("CREATE TABLE stray (id int)")

    backup.restore(restored, taken.file, force=True)

    rows = _digests(url_of(restored))
    assert rows["public.forecasts"] == taken.rows["public.forecasts"]
    assert "public.stray" not in rows
    assert not (restored.bundles / "stray").exists()


def test_what_no_program_here_could_load_replaces_nothing(
    taken: Taken, restored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though --force says that what is there may go."""
    before = _digests(url_of(restored))
    monkeypatch.setattr("app.backup.database._server", lambda _: 19)

    with pytest.raises(ServiceError, match="the server is PostgreSQL 19, and pg_restore is of"):
        backup.restore(restored, taken.file, force=True)

    assert _digests(url_of(restored)) == before


def test_processes_that_work_in_the_database_keep_it(taken: Taken, restored: Settings) -> None:
    with psycopg.connect(url_of(restored), application_name="closecast"), pytest.raises(NotEmptyError, match="stop"):
        backup.restore(restored, taken.file, force=True)


def test_only_its_owner_can_read_an_archive(taken: Taken) -> None:
    """It holds password digests and signing secrets' users."""
    assert taken.file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in taken.file.parent.glob(".*")] == []


def rewritten(
    taken: Taken, folder: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]
) -> Path:
    """The archive with each member replaced by what ``change`` gives."""
    file = folder / "bad.tar"
    with tarfile.open(taken.file) as source, tarfile.open(file, "w") as target:
        for member in source:
            held = source.extractfile(member)
            assert held is not None
            for each, content in change(member, held.read()):
                each.size = len(content)
                target.addfile(each, io.BytesIO(content))
    return file


def named(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, to: str = "") -> tuple[Any, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member, content


def before_manifest(extra: tuple[Any, bytes]) -> Callable[[tarfile.TarInfo, bytes], list[tuple[Any, bytes]]]:
    return lambda member, content: [extra, (member, content)] if member.name == "manifest.json" else [(member, content)]


def listed(name: str, **changes: Any) -> Callable[[tarfile.TarInfo, bytes], list[tuple[Any, bytes]]]:
    def change(member: tarfile.TarInfo, content: bytes) -> list[tuple[Any, bytes]]:
        if member.name == "manifest.json":
            content = json.dumps({**json.loads(content), name: changes[name]}).encode()
        return [(member, content)]

    return change


DAMAGES: dict[str, tuple[Callable[..., Any], str]] = {
    "a changed byte": (lambda m, c: [(m, c[:-1] + b"?" if m.name == "database.dump" else c)], "database.dump differs"),
    "a missing file": (lambda m, c: [] if m.name.startswith("bundles/") else [(m, c)], "is missing"),
    "no manifest": (lambda m, c: [] if m.name == "manifest.json" else [(m, c)], "list of its files is missing"),
    "an unlisted file": (before_manifest(named("bars/x")), "bars/x is not listed"),
    "a file twice": (before_manifest(named("database.dump")), "there twice"),
    "a way up": (before_manifest(named("bars/../../evil")), "does not belong"),
    "an absolute path": (before_manifest(named("/etc/evil")), "does not belong"),
    "a link": (before_manifest(named("bars/link", b"", tarfile.SYMTYPE, "/etc/passwd")), "does not belong"),
    "a hard link": (before_manifest(named("bars/link", b"", tarfile.LNKTYPE, "database.dump")), "does not belong"),
    "a device": (before_manifest(named("bars/null", b"", tarfile.CHRTYPE)), "does not belong"),
    "a newer schema": (listed("revision", revision="9999"), "newer release"),
    "a newer format": (listed("format", format=2), "cannot be read: format"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_archive_touches_nothing(taken: Taken, tmp_path: Path, damage: str) -> None:
    """Not even a database is begun: everything has been checked before."""
    change, reason = DAMAGES[damage]
    home = tmp_path / "new"

    with pytest.raises(BackupRefusedError, match=reason):
        backup.restore(Settings(_env_file=None, home=home), rewritten(taken, tmp_path, change))

    assert list(home.iterdir()) == []


def test_a_cut_archive_is_refused(taken: Taken, tmp_path: Path) -> None:
    whole = taken.file.read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(BackupRefusedError, match="no whole archive"):
        backup.restore(Settings(_env_file=None, home=tmp_path / "new"), tmp_path / "cut.tar")


async def test_clean_up_and_backup_keep_out_of_each_others_way(taken: Taken, tmp_path: Path) -> None:
    """A file that is deleted while it is being copied would end the copy."""
    async with one_session(taken.settings) as db, alone(db):
        with pytest.raises(BusyError, match="a clean-up is at work"):
            await asyncio.to_thread(backup.back_up, taken.settings, tmp_path / "x.tar")


def test_a_disk_that_is_full_leaves_no_half_archive(
    taken: Taken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_add_bundles", fail)
    with pytest.raises(OSError, match="No space left"):
        backup.back_up(taken.settings, tmp_path / "x.tar")

    assert list(tmp_path.iterdir()) == []


def test_without_postgresqls_programs_it_is_said_so(
    taken: Taken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Path:
        raise ServiceError(f"no {name}")

    monkeypatch.setattr("app.backup.programs.program", absent)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match="no pg_dump here: install"):
        backup.back_up(taken.settings, tmp_path / "x.tar")
