"""A copy of everything that cannot be made anew, taken while the server runs, and put into an empty place."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from app.backup import database
from app.backup.archive import BARS, BUNDLES, DATABASE, ArchiveWriter, Manifest, unpack, write_archive
from app.backup.errors import BackupRefusedError, NotEmptyError
from app.config import Settings
from app.core.cleaning_lock import held_off
from app.core.database import connection_string
from app.core.migrations import known_revisions, stored_revision
from app.supervisor import home
from app.supervisor.postgres import EmbeddedPostgres
from app.supervisor.preparation import prepare_database

DELTA_LOG = "_delta_log"
Tell = Callable[[str], None]


def back_up(settings: Settings, file: Path, *, tell: Tell = lambda _: None) -> Manifest:
    """Write the database, the bars and the bundles into ``file``, and the digests of all of it.

    The database comes first, as of one instant: whatever it names is on the disk then, and stays, since no clean-up
    runs meanwhile. Bars that lie in an object store are left to its keeper.

    Raises
    ------
    ServiceError : the database is away, a clean-up is at work, or there is no `pg_dump`.
    """
    url = connection_string(settings)
    elsewhere = settings.bars_uri if "://" in settings.bars_uri else None
    with held_off(url), TemporaryDirectory(prefix="closecast-backup-") as scratch, write_archive(file) as archive:
        revision = _revision(url)
        tell("database")
        database.dump(url, Path(scratch) / DATABASE)
        archive.add(DATABASE, Path(scratch) / DATABASE)
        if elsewhere is None:
            tell("bars")
            _add_bars(archive, Path(settings.bars_uri))
        tell("bundles")
        _add_bundles(archive, settings.bundles)
        manifest = Manifest(
            created_at=datetime.now(UTC),
            closecast=version("closecast"),
            revision=revision,
            bars_elsewhere=elsewhere,
            files=archive.files,
        )
        archive.end(manifest)
    return manifest


def restore(settings: Settings, file: Path, *, force: bool = False, tell: Tell = lambda _: None) -> Manifest:
    """Put what ``file`` holds where ``settings`` say; nothing is touched before all of it has been checked.

    Without a database in the settings, the embedded one is started in `home` for it, and stopped again.

    Raises
    ------
    BackupRefusedError : the archive is damaged, or of a newer release.
    NotEmptyError : something is there, and ``force`` does not say that it may go; or processes are at work.
    ServiceError : the server runs in `home`, the database is away, or no `pg_restore` here suits it.
    """
    with ExitStack() as stack:
        staging = _staging(settings, stack)
        tell("checking the archive")
        manifest = unpack(file, staging)
        if manifest.revision not in known_revisions():
            raise BackupRefusedError(f"{file} is of a newer release: its schema is {manifest.revision}")
        target = stack.enter_context(_target(settings))
        url = connection_string(target)
        _require_room(target, url, manifest, force=force)
        database.require_loadable(url, staging / DATABASE)
        tell("database")
        database.empty(url)
        database.load(url, staging / DATABASE)
        if manifest.bars_elsewhere is None:
            tell("bars")
            _put(staging / BARS, Path(target.bars_uri))
        tell("bundles")
        _put(staging / BUNDLES, target.bundles)
        prepare_database(target)
    return manifest


def _staging(settings: Settings, stack: ExitStack) -> Path:
    """An empty folder on the disk on which bars and bundles are to lie."""
    home.make(settings.home)
    return Path(stack.enter_context(TemporaryDirectory(prefix=".restoring-", dir=settings.home)))


@contextmanager
def _target(settings: Settings) -> Iterator[Settings]:
    if settings.database_url is not None:
        yield settings
        return
    with home.hold(settings.home):
        server = EmbeddedPostgres(settings.home / "postgres")
        server.start()
        try:
            yield settings.model_copy(update={"database_url": SecretStr(server.url())})
        finally:
            server.stop()


def _require_room(settings: Settings, url: str, manifest: Manifest, *, force: bool) -> None:
    database.require_quiet(url)
    held = [] if database.is_empty(url) else ["the database"]
    if manifest.bars_elsewhere is None and "://" in settings.bars_uri:
        raise NotEmptyError("the archive holds bars, and CLOSECAST_STORE_URI is no folder: name one")
    folders = {"bars": settings.bars_uri, "bundles": str(settings.bundles)}
    held += [name for name, place in folders.items() if "://" not in place and _holds_something(Path(place))]
    if held and not force:
        raise NotEmptyError(f"there is something already ({', '.join(held)}): --force replaces it")


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _put(source: Path, target: Path) -> None:
    """Have ``source``, which may hold nothing, take the place of ``target``."""
    source.mkdir(exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def _add_bars(archive: ArchiveWriter, folder: Path) -> None:
    """Every table's log before its files: what a line of the log names was written before the line was."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    logs = [path for path in files if DELTA_LOG in path.parts]
    for path in logs:
        archive.add(f"{BARS}/{path.relative_to(folder).as_posix()}", path)
    # Listed anew: a version that was written while the logs were read has its files here, too, and harms nobody.
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and DELTA_LOG not in path.parts):
        archive.add(f"{BARS}/{path.relative_to(folder).as_posix()}", path)


def _add_bundles(archive: ArchiveWriter, folder: Path) -> None:
    """Whole bundles only: drafts and what is being deleted have names of their own."""
    for bundle in sorted(folder.glob("[0-9a-f]*")):
        if bundle.is_dir():
            for path in sorted(bundle.iterdir()):
                archive.add(f"{BUNDLES}/{bundle.name}/{path.name}", path)


def _revision(url: str) -> str:
    revision = stored_revision(url)
    if revision is None:
        raise NotEmptyError("the database has no schema of ours: there is nothing to keep")
    return revision
