"""Limits towards a source that all processes share."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import psycopg
import pytest

from app.features.market_data.source_limits import PostgresBudget, PostgresCircuit
from data_pipeline.sources.circuit_breaker import CircuitBreaker, OpenCircuitError
from data_pipeline.sources.throttle import BudgetSpentError, CircuitRecord


def spend(database_url: str, times: int) -> int:
    """How many tokens one process gets without waiting."""
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=0.001, burst=10, sleep=pytest.fail)
    got = 0
    for _ in range(times):
        try:
            budget.acquire(deadline_seconds=0)
        except BudgetSpentError:
            continue
        got += 1
    return got


def test_two_processes_share_one_bucket(database_url: str) -> None:
    """Ten tokens, whoever is quicker."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        got = list(processes.map(spend, [database_url] * 2, [10] * 2))

    assert sum(got) == 10


def test_who_finds_no_token_waits_for_the_next_and_no_two_for_the_same(database_url: str) -> None:
    """60 a minute: the first at once, then one a second."""
    slept: list[float] = []
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=60, burst=1, sleep=slept.append)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(budget.acquire, [10.0] * 3))

    assert len(slept) == 2
    assert sorted(slept) == pytest.approx([1.0, 2.0], abs=0.3)


def test_a_token_that_comes_too_late_is_not_taken(database_url: str) -> None:
    """It is refused at once, with the time to come back after."""
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=6, burst=1, sleep=pytest.fail)
    budget.acquire(1.0)

    for _ in range(2):
        with pytest.raises(BudgetSpentError) as refused:
            budget.acquire(1.0)
        assert refused.value.retry_after_seconds == pytest.approx(10.0, abs=0.5)


def test_what_was_charged_is_owed(database_url: str) -> None:
    """Requests for cookie and crumb count too."""
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=60, burst=2, sleep=pytest.fail)
    budget.charge(5)

    with pytest.raises(BudgetSpentError) as refused:
        budget.acquire(1.0)
    assert refused.value.retry_after_seconds == pytest.approx(4.0, abs=0.3)


def test_a_bucket_fills_with_time_and_not_beyond_its_burst(database_url: str) -> None:
    """By the database's clock."""
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=60, burst=2, sleep=pytest.fail)
    budget.charge(2)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE source_budgets SET filled_at = filled_at - interval '1 hour'")

    budget.acquire(0.0)
    budget.acquire(0.0)
    with pytest.raises(BudgetSpentError):
        budget.acquire(0.0)


def test_a_bucket_filled_by_a_clock_that_was_put_back_is_no_empty_bucket(database_url: str) -> None:
    """It would otherwise stay empty for the hour that the clock went back."""
    budget = PostgresBudget(database_url, "yahoo", requests_per_minute=60, burst=2, sleep=pytest.fail)
    budget.charge(2)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE source_budgets SET filled_at = filled_at + interval '1 hour'")

    budget.acquire(0.0)
    budget.acquire(0.0)
    with pytest.raises(BudgetSpentError):
        budget.acquire(0.0)


def test_a_circuit_opened_by_a_clock_that_was_put_back_lets_one_question_through(database_url: str) -> None:
    """And is closed by its answer; one opened a moment ago by a clock that is a little ahead stays open."""
    state = PostgresCircuit(database_url, "yahoo")
    breaker = CircuitBreaker(state, lambda _: True)

    state.set_state("opened", time.time() + 30)
    with pytest.raises(OpenCircuitError), breaker.guard():
        pytest.fail("the circuit is open")
    state.set_state("opened", time.time() + 3_600)
    with breaker.guard():
        pass

    assert state.read().state == "closed"


def test_a_circuit_is_seen_by_every_process(database_url: str) -> None:
    """State, failures and instant."""
    here, there = PostgresCircuit(database_url, "yahoo"), PostgresCircuit(database_url, "yahoo")
    assert there.read() == CircuitRecord()

    here.add_failure()
    here.add_failure()
    here.set_state("opened", 1_700_000_000.25)
    assert there.read() == CircuitRecord("opened", 2, 1_700_000_000.25)

    there.reset_failures()
    there.set_state("closed", None)
    assert here.read() == CircuitRecord("closed", 0, None)


def test_a_breaker_opened_by_one_process_stops_the_other(database_url: str) -> None:
    """The second asks nothing at all, and lets one question through when the time has come."""

    def breaker() -> CircuitBreaker:
        state = PostgresCircuit(database_url, "yahoo")
        return CircuitBreaker(state, lambda _: True, failures_to_open=2, open_seconds=0.3)

    here, there = breaker(), breaker()
    for _ in range(2):
        with pytest.raises(OSError, match="away"), here.guard():
            raise OSError("away")

    with pytest.raises(OpenCircuitError), there.guard():
        pytest.fail("the circuit is open")

    time.sleep(0.35)
    with there.guard():
        pass
    assert PostgresCircuit(database_url, "yahoo").read().state == "closed"
