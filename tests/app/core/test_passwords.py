"""Passwords are hashed slowly enough, off the event loop, and in bounded number."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter, sleep

import pytest

from app.core import passwords
from app.core.hashing_process import NICENESS
from app.core.passwords import MOST_WAITING, HashingBusyError, PasswordHasher, _idle

PASSWORD = "seven green herons wade"
ASK_AND_WAIT = """
import asyncio, time
from app.core import passwords
asyncio.run(passwords.PasswordHasher().hash("seven green herons wade"))
print(passwords._idle[0].pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    """One password at a time."""
    hasher = PasswordHasher(at_once=1)
    yield hasher
    hasher.close()


async def test_v11_4_2_a_hash_is_argon2id_of_nineteen_mebibytes_two_passes_and_a_salt(hasher: PasswordHasher) -> None:
    first, second = await hasher.hash(PASSWORD), await hasher.hash(PASSWORD)

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert await hasher.verify(PASSWORD, first)
    assert not await hasher.verify(PASSWORD + " ", first)


async def test_nobody_signs_in_without_an_account_not_even_with_the_stand_in_password(hasher: PasswordHasher) -> None:
    assert not await hasher.verify(PASSWORD, None)
    assert not await hasher.verify("nobody has this password", None)


async def test_an_unknown_account_takes_as_long_as_a_known_one(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash(PASSWORD)
    known, unknown = [], []

    for _ in range(9):  # in turn, so that other work on the machine slows both
        known.append(await seconds_to_verify(hasher, hashed))
        unknown.append(await seconds_to_verify(hasher, None))

    assert 0.6 < min(unknown) / min(known) < 1.6  # the least disturbed of each


async def seconds_to_verify(hasher: PasswordHasher, hashed: str | None) -> float:
    """How long a wrong password takes."""
    started = perf_counter()
    await hasher.verify("a wrong password", hashed)
    return perf_counter() - started


async def test_the_event_loop_runs_on_while_passwords_are_hashed(hasher: PasswordHasher) -> None:
    hashing = asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(4)))
    turns = 0

    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert turns > 10  # four hashes take about 100 ms: on the loop there would be hardly a turn between them


async def test_hashing_stands_back_behind_the_event_loop(hasher: PasswordHasher) -> None:
    """In a process of its own, so that it never holds this interpreter's lock while it waits for a core."""
    await hasher.hash(PASSWORD)

    ours, theirs = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (os.getpid(), _idle[-1].pid))
    assert theirs == min(19, ours + NICENESS)


async def test_a_process_that_was_killed_is_replaced(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash(PASSWORD)
    killed = list(_idle)
    for process in killed:
        process.kill()
        process.wait()

    assert await hasher.verify(PASSWORD, hashed)
    assert not set(_idle) & set(killed)


async def test_a_process_that_dies_at_its_work_is_seen_to_its_end(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked is told; nothing of it is left running or open."""
    started: list[passwords.Process] = []

    def dying() -> passwords.Process:
        command = [sys.executable, "-c", "input()"]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(passwords, "_idle", [])
    monkeypatch.setattr(passwords, "_started", dying)

    with pytest.raises(OSError, match="has ended"):
        await hasher.hash(PASSWORD)

    (process,) = started
    assert process.returncode == 0
    assert process.stdout is not None
    assert process.stdout.closed


async def test_what_is_no_hash_is_told_and_harms_nobody_else(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash(PASSWORD)
    processes = list(_idle)

    with pytest.raises(ValueError, match="hash"):
        await hasher.verify(PASSWORD, "none")

    assert await hasher.verify(PASSWORD, hashed)
    assert _idle == processes


async def test_passwords_may_have_any_characters(hasher: PasswordHasher) -> None:
    """Line ends and quotes too: a question is one line of JSON."""
    odd = 'a\nb"\\ \u2028 \N{SNOWMAN} seven herons'

    assert await hasher.verify(odd, await hasher.hash(odd))


def test_the_processes_end_with_who_asked_them() -> None:
    """Killed, too: nobody is left to close anything, and stdin ends all the same."""
    asker = subprocess.Popen([sys.executable, "-c", ASK_AND_WAIT], stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    pid = int(asker.stdout.readline())
    os.kill(pid, 0)
    asker.kill()
    asker.communicate()

    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        sleep(0.01)
    pytest.fail("it still runs")


async def test_beyond_a_number_of_waiting_ones_a_password_is_refused_at_once(hasher: PasswordHasher) -> None:
    waiting = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(HashingBusyError):
        await hasher.verify(PASSWORD, None)

    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not await hasher.verify(PASSWORD, None)  # the places of those that gave up are free again
