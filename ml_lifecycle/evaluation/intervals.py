"""The central intervals that are scored, and where their ends stand among the quantile levels."""

from collections.abc import Sequence

import numpy as np

INTERVALS = (0.5, 0.8, 0.9, 0.95)


def interval_places(levels: Sequence[float], level: float) -> tuple[int, ...]:
    """Places of the two quantiles that bound a central interval; empty where they are not among the levels.

    >>> interval_places((0.1, 0.5, 0.9), 0.8)
    (0, 2)
    """
    ends = (0.5 - level / 2.0, 0.5 + level / 2.0)
    places = [np.flatnonzero(np.abs(np.array(levels) - end) < 1e-9) for end in ends]
    return tuple(int(place[0]) for place in places) if all(map(len, places)) else ()
