"""Figures that grow with each warm forecast: added up in plain numbers, and written where all processes count together
a moment later.

Each write to prometheus-client's shared files costs about a microsecond, and one answer makes a dozen. What was counted
is written within ``WRITTEN_EVERY_SECONDS``, before this process is asked for its figures, and before it ends in good
order; only a killed process takes its last moment with it.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Histogram, Summary

logger = logging.getLogger(__name__)

WRITTEN_EVERY_SECONDS = 0.02
WRITTEN_AGAIN_SECONDS = 1.0  # after a failure
WRITTEN_EVERYWHERE_SECONDS = 2 * WRITTEN_EVERY_SECONDS  # by then what was answered before is told by every process


class Tally(Protocol):
    """What was added to some figures since they were last written."""

    def write(self) -> None:
        """Add it to them, and begin anew."""


_changed: list[Tally] = []


def note_changed(tally: Tally) -> None:
    """Have a tally written soon; called with the first thing that it counts."""
    if not _changed:
        asyncio.get_running_loop().call_later(WRITTEN_EVERY_SECONDS, write_tallies)
    _changed.append(tally)


def write_tallies() -> None:
    """Write what this process has counted so far; what cannot be written is tried again."""
    changed = _changed.copy()
    _changed.clear()
    failed = []
    for tally in changed:
        try:
            tally.write()
        except Exception:  # whatever it is, the others are written
            logger.exception("figures are not written yet")
            failed.append(tally)
    if failed:
        asyncio.get_running_loop().call_later(WRITTEN_AGAIN_SECONDS, _note_again, failed)


def _note_again(tallies: Sequence[Tally]) -> None:
    for tally in tallies:
        note_changed(tally)


class SummedHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """``counts``: how many fell into each bucket, the last one without a bound; ``total``: their sum."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class SummedSummary(Summary):
    """A summary that takes many observations at once."""

    def add(self, count: int, total: float) -> None:
        """``count`` observations whose sum is ``total``."""
        self._count.inc(count)
        self._sum.inc(total)


class Observations:
    """Observed values of one kind, by bucket.

    Parameters
    ----------
    bounds : upper ends of the buckets, ascending; what is above the last one has a bucket too.
    """

    __slots__ = ("_bounds", "counts", "number", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.number, self.total, self.counts = 0, 0.0, [0] * (len(self._bounds) + 1)

    def add(self, value: float) -> None:
        """Observe a value; a bucket's upper end belongs to it."""
        self.number += 1
        self.total += value
        self.counts[bisect_left(self._bounds, value)] += 1
