"""Passwords are hashed slowly enough, off the event loop, and in bounded number."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from time import perf_counter

import pytest

from app.core.passwords import MOST_WAITING, NICENESS, HashingBusyError, PasswordHasher

PASSWORD = "seven green herons wade"


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    """A pool of one thread."""
    hasher = PasswordHasher(threads=1)
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_hashing_stands_back_behind_the_event_loop(hasher: PasswordHasher) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await hasher._run(niceness) == min(19, niceness() + NICENESS)


async def test_beyond_a_number_of_waiting_ones_a_password_is_refused_at_once(hasher: PasswordHasher) -> None:
    waiting = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(HashingBusyError):
        await hasher.verify(PASSWORD, None)

    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not await hasher.verify(PASSWORD, None)  # the places of those that gave up are free again
