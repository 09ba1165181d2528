"""What `closecast serve` is: a database, N API processes and one worker, watched until SIGTERM."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from types import FrameType

import structlog
from pydantic import SecretStr

from app.config import Settings
from app.core.monitoring.process_watch import PROCESS_NAME
from app.supervisor import home
from app.supervisor.child import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Child
from app.supervisor.environment import as_environment
from app.supervisor.errors import ServiceError
from app.supervisor.events import event_logger, tell_restart
from app.supervisor.lifeline import LIFELINE_FD
from app.supervisor.listening import LISTEN_FD, check_port, listen
from app.supervisor.postgres import EmbeddedPostgres
from app.supervisor.preparation import prepare_database

WATCH_SECONDS = 0.2
GRACE_SECONDS = 25.0  # longer than the API's own grace
API = "api-"  # what the names of API processes begin with
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

log = structlog.get_logger(__name__)


class Supervisor:
    """Starts the database, then the processes; starts again what dies; stops PostgreSQL last.

    Attributes
    ----------
    settings : those of the caller with absolute paths and, once the database runs, its URL.
    log : file that the processes write to; None: this process's own standard error.
    """

    def __init__(self, settings: Settings, log: Path | None = None) -> None:
        self.settings = settings.model_copy(update={"home": settings.home.resolve()})
        self.stopping = False
        self.watching = False
        self._postgres = EmbeddedPostgres(self.settings.home / "postgres") if settings.database_url is None else None
        self._log = log
        self._children: list[Child] = []
        self._to_replace: list[Child] = []
        self._socket: socket.socket | None = None
        self._lifeline = os.pipe()
        self._postgres_pause_seconds = FIRST_PAUSE_SECONDS
        self._postgres_restarts = 0

    @property
    def database_url(self) -> str:
        """The database that all processes use, password included."""
        if self.settings.database_url is None:
            raise ServiceError("the database is not started yet")
        return self.settings.database_url.get_secret_value()

    def check_port(self) -> None:
        """Raise ServiceError where a port is taken, before a database is started in vain."""
        check_port(self.settings.host, self.settings.port)
        if self.settings.internal_port is not None:
            check_port(self.settings.host, self.settings.internal_port)

    def start_database(self) -> None:
        """Start or adopt the embedded PostgreSQL (where none is configured), then migrate."""
        if self._postgres is not None:
            how = self._postgres.start()
            log.info("embedded PostgreSQL runs", how=how, folder=str(self._postgres.folder))
            self.settings = self.settings.model_copy(update={"database_url": SecretStr(self._postgres.url())})
        prepare_database(self.settings)

    def start_processes(self) -> None:
        """Start the API and the worker."""
        self.start_api()
        self.start_worker()

    def start_api(self) -> None:
        """Take the port and start the API processes; raises ServiceError when the port is taken."""
        self._socket = listen(self.settings.host, self.settings.port)
        descriptor = self._socket.fileno()
        for number in range(self.settings.workers):
            environment = {LISTEN_FD: str(descriptor)}
            self._child(f"{API}{number}", "app.supervisor.api_process", environment, descriptor).start()

    def start_worker(self) -> None:
        """Start the job worker."""
        self._child("worker", "app.supervisor.worker_process", {}).start()

    def _child(self, name: str, module: str, environment: Mapping[str, str], *descriptors: int) -> Child:
        """A process that `watch` keeps alive and `stop` ends."""
        shared = {
            **as_environment(self.settings),
            METRICS_FOLDER: str(self._metrics),
            PROCESS_NAME: name,
            LIFELINE_FD: str(self._lifeline[0]),
        }
        child = Child(name, [module], {**shared, **environment}, (self._lifeline[0], *descriptors), self._log)
        child.on_end = partial(_forget_gauges, self._metrics)
        self._children.append(child)
        return child

    @cached_property
    def _metrics(self) -> Path:
        """Where every process counts, the worker too, so that each API process can tell of all; empty at first."""
        return home.empty(self.settings.home / "metrics")

    def watch(self) -> None:
        """Keep everything alive until SIGTERM or Ctrl-C."""
        self.watching = True
        while not self.stopping:
            self._keep_database()
            for child in self._children:
                child.keep_alive()
            self._go_on_rolling()
            time.sleep(WATCH_SECONDS)

    def roll(self) -> None:
        """Replace the API processes one after another, each by a new one that answers before the old one goes."""
        self._to_replace = [child for child in self._children if child.name.startswith(API)]

    def _go_on_rolling(self) -> None:
        if self._to_replace and not any(child.is_being_replaced for child in self._children):
            child = self._to_replace.pop(0)
            log.info("child is replaced", child=child.name)
            child.replace()

    def stop(self) -> None:
        """End the processes in good order, PostgreSQL last."""
        self.stopping = True
        if self._socket is not None:
            # Before the children close theirs: a connection that nobody takes any more would wait, and be reset.
            self._socket.close()
        for child in self._children:
            child.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for child in self._children:
            child.wait(deadline)
        if self._postgres is not None:
            self._postgres.stop()
        for descriptor in self._lifeline:
            with suppress(OSError):
                os.close(descriptor)

    def _keep_database(self) -> None:
        if self._postgres is None or self._postgres.is_running():
            return
        self._postgres_restarts += 1
        tell_restart(
            self._log,
            child="postgresql",
            exit_status=self._postgres.exit_status,
            pause_seconds=0.0,
            restarts=self._postgres_restarts,
        )
        try:
            self._postgres.start()
        except ServiceError as error:
            event_logger(self._log).error(
                "PostgreSQL did not start", reason=str(error), again_in_seconds=self._postgres_pause_seconds
            )
            time.sleep(self._postgres_pause_seconds)
            self._postgres_pause_seconds = min(2 * self._postgres_pause_seconds, LONGEST_PAUSE_SECONDS)
        else:
            self._postgres_pause_seconds = FIRST_PAUSE_SECONDS


@contextmanager
def supervised(settings: Settings, log: Path | None = None) -> Iterator[Supervisor]:
    """A supervisor that holds `home` and that stops, with all it started, when the block ends or SIGTERM comes.

    SIGHUP has it replace the API processes, one after another.

    Raises
    ------
    AlreadyRunningError, DiskFullError, ServiceError : as `home.hold` says.
    """
    with home.hold(settings.home):
        supervisor = Supervisor(settings, log)
        former = {number: signal.signal(number, _stopper(supervisor)) for number in (signal.SIGTERM, signal.SIGINT)}
        former[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: supervisor.roll())
        try:
            yield supervisor
        except _StopError:
            pass
        finally:
            for number in former:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave PostgreSQL behind
            supervisor.stop()
            for number, handler in former.items():
                signal.signal(number, handler)


def _forget_gauges(metrics: Path, pid: int) -> None:
    """Drop the gauges of a process that ended; its counters go on counting."""
    for file in metrics.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


class _StopError(BaseException):
    """SIGTERM or SIGINT came while something other than `watch` ran."""


def _stopper(supervisor: Supervisor) -> Callable[[int, FrameType | None], None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        supervisor.stopping = True
        if not supervisor.watching:  # `watch` looks at the flag; an exception there could lose a child being started
            raise _StopError

    return stop
