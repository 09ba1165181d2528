"""How long answers took, so summed up that sums of sums still tell percentiles: counts in buckets that grow by 4 %.

As DDSketch does it (Masson, Rim and Lee, VLDB 2019): a percentile is told to within 2 % of its value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from math import ceil, floor, log

GROWTH = 1.04
LEAST_MS = 0.01  # what is faster counts as this


def bucket_of(latency_ms: float) -> int:
    """The bucket of a latency; ``crud.summed_log`` says the same in SQL.

    >>> bucket_of(0.001), bucket_of(0.0105), bucket_of(1.0)
    (0, 1, 117)
    """
    return floor(log(max(latency_ms, LEAST_MS) / LEAST_MS) / log(GROWTH))


@dataclass(frozen=True)
class Latencies:
    """Answers of some time; milliseconds. None where there was none."""

    answers: int
    sum_ms: float
    min_ms: float | None
    max_ms: float | None
    buckets: Counter[int]
    newest_at: datetime | None

    @classmethod
    def together(cls, many: Iterable[Latencies]) -> Latencies:
        """The sum of sums; of none, nothing."""
        some = [each for each in many if each.answers]
        return cls(
            answers=sum(each.answers for each in some),
            sum_ms=sum(each.sum_ms for each in some),
            min_ms=min((each.min_ms for each in some if each.min_ms is not None), default=None),
            max_ms=max((each.max_ms for each in some if each.max_ms is not None), default=None),
            buckets=sum((each.buckets for each in some), Counter()),
            newest_at=max((each.newest_at for each in some if each.newest_at is not None), default=None),
        )

    @property
    def mean_ms(self) -> float | None:
        """Exact."""
        return self.sum_ms / self.answers if self.answers else None

    def percentile_ms(self, share: float) -> float | None:
        """The latency that so many of the answers did not exceed, to within 2 %."""
        if self.min_ms is None or self.max_ms is None:
            return None
        rank = max(1, ceil(share * self.answers))
        ordered = sorted(self.buckets)
        reached = accumulate(self.buckets[bucket] for bucket in ordered)
        bucket = next(bucket for bucket, count in zip(ordered, reached, strict=True) if count >= rank)
        middle: float = LEAST_MS * GROWTH ** (bucket + 0.5)
        return min(max(middle, self.min_ms), self.max_ms)
