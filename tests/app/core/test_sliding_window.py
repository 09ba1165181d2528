"""Our counter in memory gives the numbers of the library that counts in Redis."""

import random
import time
from math import ceil

import pytest
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from app.core.sliding_window import SlidingWindow


@pytest.mark.parametrize(("seconds", "pause"), [(1, 0.04), (60, 1.5)])
async def test_it_counts_as_the_library_does(monkeypatch: pytest.MonkeyPatch, seconds: int, pause: float) -> None:
    """Two subjects over a hundred stretches, in bursts and with gaps longer than a window."""
    drawn, now = random.Random(7), 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    theirs, ours = SlidingWindowCounterRateLimiter(MemoryStorage()), SlidingWindow(seconds)
    item = RateLimitItemPerSecond(8, seconds)
    outcomes = []
    for number in range(2_000):
        now += drawn.expovariate(1 / pause) if number % 100 else 3.3 * seconds
        subject = drawn.choice(["ada", "bob"])
        allowed = await theirs.hit(item, subject)
        resets_at, left = await theirs.get_window_stats(item, subject)

        counted = ours.count(subject, 8, now)

        outcomes.append(allowed)
        assert (counted.is_counted, counted.left) == (allowed, left)
        assert max(1, ceil(round(counted.resets_in_seconds, 6))) == max(1, ceil(round(resets_at - now, 6)))
    assert 200 < sum(outcomes) < 1_800


def test_it_forgets_who_was_not_there_lately() -> None:
    """Addresses are many: what is remembered is bounded by what two stretches brought."""
    window = SlidingWindow(60)
    for stretch in range(5):
        for number in range(100):
            window.count(f"{stretch}-{number}", 8, 1_800_000_000.0 + 60 * stretch)

    assert len(window._present) + len(window._former) == 200


def test_a_clock_that_is_put_back_begins_anew() -> None:
    window = SlidingWindow(60)
    counted = [window.count("ada", 1, now).is_counted for now in (1_800_000_000.0, 1_800_000_001.0, 1_799_999_000.0)]

    assert counted == [True, False, True]
