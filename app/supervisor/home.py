"""The folder `.closecast/`: who holds it, whether there is room, what it keeps."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import MINIMUM_SECRET_LENGTH
from app.supervisor.errors import AlreadyRunningError, DiskFullError, ServiceError

FREE_BYTES_NEEDED = 500 * 1024**2  # PostgreSQL's files, one training run and its bundle, with room to spare


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold ``home`` alone while the block runs; the kernel lets go of it however the process ends.

    Raises
    ------
    AlreadyRunningError : another process holds it.
    DiskFullError, ServiceError : it has no room, or cannot be written.
    """
    make(home)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise AlreadyRunningError(
                f"Closecast already runs in {home} (process {holder}): stop it, or name another CLOSECAST_HOME"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def make(home: Path) -> None:
    """Make ``home`` where it is missing, and see that it can be written and has room."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"cannot make {home}: {error.strerror}") from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise ServiceError(f"{home} cannot be written: name another folder by CLOSECAST_HOME")
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES_NEEDED:
        raise DiskFullError(
            f"{home.resolve()} has {free // 1024**2} MiB free, {FREE_BYTES_NEEDED // 1024**2} MiB are needed: make room"
        )


def empty(folder: Path) -> Path:
    """``folder``, made anew: what the metrics of former processes left there would be counted again.

    It is moved away first: processes of a killed supervisor may write to it until they end.

    Raises
    ------
    FileExistsError : it is no folder.
    """
    away = f"{folder.name}.former-"
    if folder.is_dir():
        folder.rename(tempfile.mkdtemp(prefix=away, dir=folder.parent))
    folder.mkdir(parents=True)
    for former in folder.parent.glob(f"{away}*"):
        shutil.rmtree(former, ignore_errors=True)
    return folder


def kept_secret(path: Path) -> str:
    """The secret kept in ``path``, made at the first call; only its owner may read it."""
    if not path.exists():
        write_private(path, secrets.token_hex(MINIMUM_SECRET_LENGTH))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
