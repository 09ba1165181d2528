"""Token bucket and state of the circuit, on a clock that the test turns."""

import pytest

from data_pipeline.sources.throttle import BudgetSpentError, CircuitRecord, InMemoryBudget, InMemoryCircuit


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_budget(clock: Clock, *, burst: int = 2) -> InMemoryBudget:
    """One token every two seconds."""
    return InMemoryBudget(30, burst, clock=clock, sleep=clock.sleep)


def test_a_rested_bucket_serves_a_burst_at_once(clock: Clock) -> None:
    budget = make_budget(clock, burst=2)
    budget.acquire(0)
    budget.acquire(0)
    assert clock.slept == []


def test_an_empty_bucket_is_waited_for(clock: Clock) -> None:
    """Half a token short is one second at one token in two seconds."""
    budget = make_budget(clock, burst=1)
    budget.acquire(0)
    clock.now += 1
    budget.acquire(5)
    assert clock.slept == [1.0]


def test_a_wait_beyond_the_deadline_is_not_begun(clock: Clock) -> None:
    """The error says how long it would have taken, and no token is lost by asking."""
    budget = make_budget(clock, burst=1)
    budget.acquire(0)
    for _ in range(3):
        with pytest.raises(BudgetSpentError, match=r"used up for 2\.0 s") as caught:
            budget.acquire(1.9)
        assert caught.value.retry_after_seconds == pytest.approx(2.0)
    budget.acquire(2.0)
    assert clock.slept == [2.0]


def test_a_bucket_does_not_overflow(clock: Clock) -> None:
    """An hour of rest is a burst of two, not of 1,800."""
    budget = make_budget(clock, burst=2)
    clock.now += 3600
    for _ in range(2):
        budget.acquire(0)
    with pytest.raises(BudgetSpentError):
        budget.acquire(0)


def test_charged_requests_are_paid_by_the_next_one(clock: Clock) -> None:
    """Three look-ups beside the one acquired: the average rate holds."""
    budget = make_budget(clock, burst=1)
    budget.acquire(0)
    budget.charge(3)
    budget.acquire(60)
    assert clock.slept == [8.0]


def test_waiters_do_not_share_a_token(clock: Clock) -> None:
    """Each reserves its own before it sleeps: the second waits twice as long."""
    slept: list[float] = []
    budget = InMemoryBudget(30, 1, clock=clock, sleep=slept.append)
    for _ in range(3):
        budget.acquire(60)
    assert slept == [2.0, 4.0]


def test_a_circuit_begins_closed_and_keeps_what_it_is_told() -> None:
    circuit = InMemoryCircuit()
    assert circuit.read() == CircuitRecord("closed", 0, None)
    circuit.add_failure()
    circuit.add_failure()
    circuit.set_state("opened", 12.5)
    assert circuit.read() == CircuitRecord("opened", 2, 12.5)
    circuit.reset_failures()
    assert circuit.read() == CircuitRecord("opened", 0, 12.5)
