"""A process tells what it uses and what waits in it, under its name."""

import asyncio
import time
from collections.abc import Mapping

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.monitoring import process_watch
from app.core.monitoring.process_watch import hashing_waiting, process_name, watch_process


def figure(name: str, labels: Mapping[str, str]) -> float:
    value = REGISTRY.get_sample_value(name, dict(labels))
    assert value is not None, name
    return value


async def watch_for(seconds: float, name: str, waiting: list[int]) -> None:
    """Watch this process while something waits in it, now more and now less."""
    numbers = iter(waiting)
    engine = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:9/none", pool_size=5)  # nobody connects
    watching = asyncio.create_task(
        watch_process(name, engine=engine, waiting={hashing_waiting: lambda: next(numbers, 0)})
    )
    await asyncio.sleep(seconds)
    watching.cancel()
    await asyncio.wait([watching])


async def test_what_the_kernel_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_watch, "LOOK_SECONDS", 0.01)
    label = {"process": "watched-0"}

    await watch_for(0.1, "watched-0", [])

    assert figure("closecast_process_resident_memory_bytes", label) > 10_000_000
    assert 2 < figure("closecast_process_open_fds", label) < figure("closecast_process_max_fds", label)
    assert time.time() - 3_600 < figure("closecast_process_start_time_seconds", label) <= time.time() + 1
    assert figure("closecast_database_pool_size", label) == 5.0
    used = figure("closecast_process_cpu_seconds_total", label)
    assert used == pytest.approx(time.process_time(), abs=2.0)


async def test_the_most_of_late_is_told_and_forgotten_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape looks once in fifteen seconds; what waited between them must not be missed."""
    monkeypatch.setattr(process_watch, "LOOK_SECONDS", 0.005)
    await watch_for(0.03, "watched-1", [0, 7, 1])
    assert figure("closecast_hashing_waiting", {"process": "watched-1"}) == 7.0

    await watch_for(0.3, "watched-1", [0, 7, 1])
    assert figure("closecast_hashing_waiting", {"process": "watched-1"}) == 0.0


async def test_a_loop_that_is_held_up_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_watch, "LOOK_SECONDS", 0.01)

    def late() -> float:
        whole = figure("closecast_event_loop_lag_seconds_count", {})
        return whole - figure("closecast_event_loop_lag_seconds_bucket", {"le": "0.1"})

    before = late()
    watching = asyncio.create_task(watch_process("watched-2"))
    await asyncio.sleep(0.005)
    time.sleep(0.2)  # noqa: ASYNC251 (this is the fault)
    await asyncio.sleep(0.05)
    watching.cancel()

    assert late() == before + 1


def test_the_supervisor_s_name_goes_before_the_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process_name("api") == "api"
    monkeypatch.setenv("CLOSECAST_PROCESS", "api-3")
    assert process_name("api") == "api-3"
