"""purgatory's circuit breaker on a ``CircuitState`` of ours, so that processes can share one circuit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

from purgatory import SyncAbstractUnitOfWork, SyncCircuitBreakerFactory
from purgatory.domain.model import Context, OpenedState
from purgatory.service._sync.repository import SyncAbstractRepository  # the one name that purgatory does not re-export

from data_pipeline.errors import ClosecastError
from data_pipeline.sources.throttle import CircuitState, CircuitStateName

FAILURES_TO_OPEN: Final = 5  # in a row: one ticker's retries alone do not open it
OPEN_SECONDS: Final = 60.0


class OpenCircuitError(ClosecastError):
    """The circuit is open: do not ask before ``retry_after_seconds`` have passed."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"not asked for {retry_after_seconds:.0f} s after too many failures in a row")
        self.retry_after_seconds = retry_after_seconds


class CircuitBreaker:
    """Stops asking after ``failures_to_open`` failures in a row, and lets one question through ``open_seconds`` later.

    Parameters
    ----------
    counts : whether an error is a failure of the source; any other leaves the circuit as a success does.
    """

    def __init__(
        self,
        state: CircuitState,
        counts: Callable[[BaseException], bool],
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._state = state
        self._open_seconds = open_seconds
        self._factory = SyncCircuitBreakerFactory(
            uow=_UnitOfWork(_Repository(state, failures_to_open, open_seconds)),
            exclude=[(BaseException, lambda error: not counts(error))],
        )

    @property
    def is_open(self) -> bool:
        """Whether the circuit was opened, its time not counted."""
        return self._state.read().state == "opened"

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Ask inside this context.

        Raises
        ------
        OpenCircuitError : the circuit is open; the body did not run.
        """
        breaker = self._factory.get_breaker("source")
        try:
            breaker.__enter__()
        except OpenedState as opened:
            closes_at = opened.opened_at + self._open_seconds
            raise OpenCircuitError(max(0.0, closes_at - time.time())) from opened
        try:
            yield
        except BaseException as error:
            breaker.__exit__(type(error), error, error.__traceback__)
            raise
        breaker.__exit__(None, None, None)


class _Repository(SyncAbstractRepository):
    """purgatory's repository of circuits, for the one circuit that a ``CircuitState`` keeps."""

    def __init__(self, state: CircuitState, failures_to_open: int, open_seconds: float) -> None:
        self.messages = []
        self._state = state
        self._failures_to_open, self._open_seconds = failures_to_open, open_seconds

    def get(self, name: str) -> Context:
        kept = self._state.read()
        return Context(
            name,
            self._failures_to_open,
            self._open_seconds,
            state=kept.state,
            failure_count=kept.failures,
            opened_at=kept.opened_at,
        )

    def register(self, context: Context) -> None:
        """A circuit always exists: ``get`` never returns None."""

    def update_state(self, _name: str, state: str, opened_at: float | None) -> None:
        self._state.set_state(cast(CircuitStateName, state), opened_at)

    def inc_failures(self, _name: str, _failure_count: int) -> None:
        self._state.add_failure()

    def reset_failure(self, _name: str) -> None:
        self._state.reset_failures()


class _UnitOfWork(SyncAbstractUnitOfWork):
    """Every call of a ``CircuitState`` is atomic by itself: there is nothing to commit or roll back."""

    def __init__(self, repository: SyncAbstractRepository) -> None:
        self.contexts = repository

    def commit(self) -> None:
        """See the class."""

    def rollback(self) -> None:
        """See the class."""
