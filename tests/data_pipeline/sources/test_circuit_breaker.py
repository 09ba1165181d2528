"""The circuit breaker: when it opens, whom it tells, and how processes share it."""

import time

import pytest

from data_pipeline.sources.circuit_breaker import CircuitBreaker, OpenCircuitError
from data_pipeline.sources.throttle import CircuitState, InMemoryCircuit


class OutageError(Exception):
    """Counts."""


class MistakeError(Exception):
    """Does not."""


def make_breaker(state: CircuitState, *, open_seconds: float = 60.0) -> CircuitBreaker:
    return CircuitBreaker(
        state, lambda error: isinstance(error, OutageError), failures_to_open=3, open_seconds=open_seconds
    )


def fail(breaker: CircuitBreaker, error: Exception, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(type(error)), breaker.guard():
            raise error


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = make_breaker(InMemoryCircuit())
    fail(breaker, OutageError(), times=2)
    assert not breaker.is_open
    fail(breaker, OutageError())
    assert breaker.is_open


def test_an_open_circuit_does_not_run_the_body_and_says_when_to_come_back() -> None:
    breaker = make_breaker(InMemoryCircuit())
    fail(breaker, OutageError(), times=3)
    ran = False
    with pytest.raises(OpenCircuitError, match=r"not asked for \d+ s") as caught, breaker.guard():
        ran = True
    assert not ran
    assert 30 < caught.value.retry_after_seconds <= 60


def test_a_success_between_starts_the_count_again() -> None:
    breaker = make_breaker(InMemoryCircuit())
    fail(breaker, OutageError(), times=2)
    with breaker.guard():
        pass
    fail(breaker, OutageError(), times=2)
    assert not breaker.is_open


def test_errors_that_do_not_count_are_as_good_as_successes() -> None:
    breaker = make_breaker(InMemoryCircuit())
    fail(breaker, OutageError(), times=2)
    fail(breaker, MistakeError())
    fail(breaker, OutageError(), times=2)
    assert not breaker.is_open


def test_one_question_is_let_through_after_its_time() -> None:
    """A failure opens it again at once, a success closes it."""
    state = InMemoryCircuit()
    breaker = make_breaker(state, open_seconds=10)
    state.set_state("opened", time.time() - 11)
    fail(breaker, OutageError())
    assert breaker.is_open

    state.set_state("opened", time.time() - 11)
    with breaker.guard():
        pass
    assert (state.read().state, state.read().failures) == ("closed", 0)
    with breaker.guard():
        pass


def test_breakers_on_one_state_share_the_circuit() -> None:
    """As the processes of the app do: the failures of all are counted together."""
    state = InMemoryCircuit()
    one, other = make_breaker(state), make_breaker(state)
    fail(one, OutageError(), times=2)
    fail(other, OutageError())
    with pytest.raises(OpenCircuitError), one.guard():
        pass
