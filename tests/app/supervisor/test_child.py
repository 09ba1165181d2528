"""Children are started again when they die, later each time, and end with their supervisor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from app.core.monitoring.logging import configure_logging
from app.supervisor import child as child_module
from app.supervisor import replacement
from app.supervisor.child import Child

SUPERVISE_ONE = """
import os, sys, time
from app.supervisor.child import Child
from app.supervisor.lifeline import LIFELINE_FD
reader, writer = os.pipe()
child = Child("sleeper", ["tests.app.supervisor.sleeper"], {LIFELINE_FD: str(reader)}, (reader,))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process lives; a zombie nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_started_again_at_once() -> None:
    child = Child("sleeper", ["tests.app.supervisor.sleeper"], {}, ())
    child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        child.keep_alive()
        return child.pid not in (None, first)

    try:
        wait_until(is_back)
    finally:
        child.terminate()
        child.wait(time.monotonic() + 5)


def test_a_child_that_keeps_dying_is_started_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """First at once, then after 0.05 s, 0.1 s, 0.2 s and from there on 0.2 s."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(child_module, "LONGEST_PAUSE_SECONDS", 0.2)
    starts: list[float] = []

    class Recorded(Child):
        def start(self) -> None:
            starts.append(time.monotonic())
            self._started_at = time.monotonic()
            self._process = subprocess.Popen(["false"])

    child = Recorded("false", [], {}, ())
    child.start()

    def died_often() -> bool:
        child.keep_alive()
        return len(starts) == 6

    wait_until(died_often)
    child.wait(time.monotonic() + 5)
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    for pause, least in zip(pauses, [0.0, 0.05, 0.1, 0.2, 0.2], strict=True):
        assert least <= pause < least + 0.15


def test_every_restart_is_one_line_in_the_log_of_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever level the terminal is kept at: the demo keeps it at ERROR."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_SECONDS", 0.05)
    configure_logging("ERROR")
    log = tmp_path / "server.log"
    child = Child("api-0", ["tests.app.supervisor.no_such_module"], {}, (), log)
    child.start()

    def restarts() -> list[dict[str, object]]:
        child.keep_alive()
        return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]

    wait_until(lambda: len(restarts()) == 3)
    child.wait(time.monotonic() + 5)
    told = [{name: line[name] for name in line if name != "at"} for line in restarts()]
    assert told[:3] == [
        {
            "event": "child restarts",
            "level": "warning",
            "child": "api-0",
            "exit_status": 1,
            "pause_seconds": pause,
            "restarts": count,
        }
        for count, pause in enumerate([0.0, 0.05, 0.1], start=1)
    ]


def test_a_child_that_ignores_sigterm_is_killed_at_the_deadline() -> None:
    child = Child("deaf", ["tests.app.supervisor.sleeper", "deaf"], {}, ())
    child.start()
    pid = child.pid
    assert pid is not None
    time.sleep(0.3)  # until it has installed its deaf ear
    child.terminate()
    child.wait(time.monotonic() + 0.2)
    assert not alive(pid)


def test_children_end_when_their_supervisor_is_killed() -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISE_ONE], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    assert alive(pid)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_until(lambda: not alive(pid))


class TestReplacing:
    """A successor that is ready first, then the end of the one before."""

    @staticmethod
    def child(*arguments: str) -> Child:
        """A started one."""
        child = Child("sleeper", ["tests.app.supervisor.sleeper", *arguments], {}, ())
        child.start()
        return child

    @staticmethod
    def keep_until(child: Child, true: Callable[[], bool]) -> None:
        """As the supervisor's watch does it."""

        def kept() -> bool:
            child.keep_alive()
            return true()

        wait_until(kept)

    def test_the_former_process_lives_until_its_successor_is_ready(self) -> None:
        ended: list[tuple[int, bool]] = []
        child = self.child()
        former = child.pid
        assert former is not None
        child.on_end = lambda pid: ended.append((pid, child.pid != former))
        child.replace()
        child.replace()  # asked twice, done once

        self.keep_until(child, lambda: child.pid != former and not child.is_being_replaced)

        assert ended == [(former, True)]  # its successor had its place by then
        assert not alive(former)
        assert child.pid is not None
        child.terminate()
        child.wait(time.monotonic() + 5)

    def test_a_successor_that_does_not_get_ready_leaves_the_former_process(self) -> None:
        child = self.child("unfit")
        former = child.pid
        child.replace()

        self.keep_until(child, lambda: not child.is_being_replaced)

        assert child.pid == former
        child.terminate()
        child.wait(time.monotonic() + 5)

    def test_a_successor_that_takes_too_long_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replacement, "START_SECONDS", 0.0)
        child = self.child()
        former = child.pid
        child.replace()

        self.keep_until(child, lambda: not child.is_being_replaced)

        assert child.pid == former
        child.terminate()
        child.wait(time.monotonic() + 5)

    def test_a_former_process_that_does_not_end_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child_module, "RETIRING_SECONDS", 0.2)
        child = self.child("deaf")
        former = child.pid
        assert former is not None
        time.sleep(0.3)  # until it has installed its deaf ear
        child.replace()

        self.keep_until(child, lambda: not alive(former))
        self.keep_until(child, lambda: not child.is_being_replaced)

        child.terminate()
        child.wait(time.monotonic() + 0.2)

    def test_an_end_in_the_middle_leaves_nobody_behind(self) -> None:
        child = self.child()
        child.replace()
        assert child._replacement is not None
        both = (child.pid, child._replacement.process.pid)

        child.terminate()
        child.wait(time.monotonic() + 5)

        assert not any(alive(pid) for pid in both if pid is not None)
