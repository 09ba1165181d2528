"""How often a source may be asked, and when to stop asking: state that several processes can share.

Both states sit behind a small protocol. One process keeps them in memory (the classes here); the app keeps them in
PostgreSQL, so that all its workers together stay below Yahoo's limit and stop together.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from data_pipeline.errors import ClosecastError

CircuitStateName = Literal["closed", "opened", "half-opened"]

DEFAULT_BURST: Final = 10  # requests at once after a rest: two unseen tickers take eight


class BudgetSpentError(ClosecastError):
    """Our own limit of requests is used up: the next is due in ``retry_after_seconds``."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"our own limit of requests is used up for {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class RequestBudget(Protocol):
    """A token bucket: every request to the source costs one token."""

    def acquire(self, deadline_seconds: float) -> None:
        """Take one token, waiting for it if need be.

        Raises
        ------
        BudgetSpentError : none comes within ``deadline_seconds``; raised at once, without waiting for it in vain.
        """

    def charge(self, requests: int) -> None:
        """Debit requests that were sent on top of the one acquired (cookie, crumb, zone).

        Never waits. The balance may fall below zero: whoever comes next waits the longer, so the average rate holds.
        """


class InMemoryBudget:
    """A token bucket for the threads of one process.

    Parameters
    ----------
    requests_per_minute : refill rate.
    burst : tokens in a full bucket.
    """

    def __init__(
        self,
        requests_per_minute: float,
        burst: int = DEFAULT_BURST,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = requests_per_minute / 60
        self._burst = float(burst)
        self._tokens = self._burst
        self._clock, self._sleep = clock, sleep
        self._filled_at = clock()
        self._lock = threading.Lock()

    def acquire(self, deadline_seconds: float) -> None:
        """See ``RequestBudget``."""
        with self._lock:
            self._fill()
            wait_seconds = max(0.0, 1 - self._tokens) / self._per_second
            if wait_seconds > deadline_seconds:
                raise BudgetSpentError(wait_seconds)
            self._tokens -= 1  # reserved now, so that two waiters do not share one token
        if wait_seconds:
            self._sleep(wait_seconds)

    def charge(self, requests: int) -> None:
        """See ``RequestBudget``."""
        with self._lock:
            self._fill()
            self._tokens -= requests

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now


@dataclass(frozen=True)
class CircuitRecord:
    """State of the circuit breaker; ``opened_at`` in seconds since 1970, so that processes agree on it."""

    state: CircuitStateName = "closed"
    failures: int = 0
    opened_at: float | None = None


class CircuitState(Protocol):
    """Where the state of the circuit breaker is kept; each call is atomic."""

    def read(self) -> CircuitRecord:
        """The present state; a closed circuit without failures where none was kept."""

    def set_state(self, state: CircuitStateName, opened_at: float | None) -> None:
        """Change the state, leave the failures."""

    def add_failure(self) -> None:
        """Count one more failure in a row."""

    def reset_failures(self) -> None:
        """Count from zero again."""


class InMemoryCircuit:
    """The state of the circuit breaker for the threads of one process."""

    def __init__(self) -> None:
        self._record = CircuitRecord()
        self._lock = threading.Lock()

    def read(self) -> CircuitRecord:
        """See ``CircuitState``."""
        return self._record

    def set_state(self, state: CircuitStateName, opened_at: float | None) -> None:
        """See ``CircuitState``."""
        with self._lock:
            self._record = replace(self._record, state=state, opened_at=opened_at)

    def add_failure(self) -> None:
        """See ``CircuitState``."""
        with self._lock:
            self._record = replace(self._record, failures=self._record.failures + 1)

    def reset_failures(self) -> None:
        """See ``CircuitState``."""
        with self._lock:
            self._record = replace(self._record, failures=0)
