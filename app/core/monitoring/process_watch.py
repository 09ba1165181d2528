"""What each process tells of itself: processor time, memory, files, how late its loop is, what waits in it.

Every figure has the process's name and not its number as its label: a process that is started again goes on where the
one before it ended, and Prometheus keeps no series of the dead.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, cast

from prometheus_client import Counter, Gauge, Histogram, ProcessCollector
from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

PROCESS_NAME = "CLOSECAST_PROCESS"  # the supervisor's name for a child
LOOK_SECONDS = 1.0
LOOKS = 15  # whose highest is told: a scrape looks once in so many seconds and would miss what waits between
LOOKS_AT_SYSTEM = 5  # one look in so many asks the kernel, which takes a tenth of a millisecond
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)

_LIVE: Final = "livemostrecent"

cpu_seconds_total = Counter("closecast_process_cpu_seconds_total", "User and system time.", ["process"])
event_loop_lag_seconds = Histogram(
    "closecast_event_loop_lag_seconds", "How much later than asked for the event loop woke.", buckets=LAG_SECONDS
)
pool_size = Gauge(
    "closecast_database_pool_size", "Connections that may be in use at once.", ["process"], multiprocess_mode=_LIVE
)
pool_used = Gauge(
    "closecast_database_pool_used", "Connections in use, the most of late.", ["process"], multiprocess_mode=_LIVE
)
hashing_waiting = Gauge(
    "closecast_hashing_waiting", "Passwords that are hashed or wait, the most of late.", ["process"],
    multiprocess_mode=_LIVE,
)  # fmt: skip
log_rows_waiting = Gauge(
    "closecast_log_rows_waiting", "Prediction log rows that wait for a commit, the most of late.", ["process"],
    multiprocess_mode=_LIVE,
)  # fmt: skip
_TOLD = {
    "process_resident_memory_bytes": "Memory in use.",
    "process_open_fds": "Open files and sockets.",
    "process_max_fds": "So many files and sockets may be open.",
    "process_start_time_seconds": "When the process was started, since 1970.",
}
_told = {
    name: Gauge(f"closecast_{name}", meaning, ["process"], multiprocess_mode=_LIVE) for name, meaning in _TOLD.items()
}
_kernel = ProcessCollector(registry=None)
OF_EVERY_PROCESS = (cpu_seconds_total, event_loop_lag_seconds, pool_size, pool_used, *_told.values())


def process_name(otherwise: str) -> str:
    """What this process is called in figures; ``otherwise`` where no supervisor gave it a name."""
    return os.environ.get(PROCESS_NAME, otherwise)


async def watch_process(
    name: str, *, engine: AsyncEngine | None = None, waiting: Mapping[Gauge, Callable[[], int]] | None = None
) -> None:
    """Tell of this process until cancelled.

    Parameters
    ----------
    engine : whose pool of connections is told, as `create_engine` makes it.
    waiting : gauges that tell the highest of late, and what gives the number just now.
    """
    numbers = dict(waiting or {})
    if engine is not None:
        pool = cast(QueuePool, engine.pool)
        pool_size.labels(name).set(pool.size())
        numbers[pool_used] = pool.checkedout
    of_late = {gauge: (number, deque[int](maxlen=LOOKS)) for gauge, number in numbers.items()}
    kernel = _Kernel(name)
    loop = asyncio.get_running_loop()
    for look in count():
        if look % LOOKS_AT_SYSTEM == 0:
            kernel.tell()
        for gauge, (number, seen) in of_late.items():
            seen.append(number())
            gauge.labels(name).set(max(seen))
        wanted = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        event_loop_lag_seconds.observe(max(0.0, loop.time() - wanted))


class _Kernel:
    """What the kernel knows of this process; nothing on systems without ``/proc``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cpu_seconds = 0.0

    def tell(self) -> None:
        """Tell it anew."""
        for family in _kernel.collect():
            for sample in family.samples:
                if sample.name == "process_cpu_seconds_total":
                    cpu_seconds_total.labels(self._name).inc(sample.value - self._cpu_seconds)
                    self._cpu_seconds = sample.value
                elif sample.name in _told:
                    _told[sample.name].labels(self._name).set(sample.value)
