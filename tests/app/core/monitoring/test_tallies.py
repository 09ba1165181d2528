"""What is added up and written later is what would have been written at once."""

import asyncio
import random

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from app.core.monitoring import tallies
from app.core.monitoring.request_meter import LATENCY_SECONDS, count_request
from app.core.monitoring.tallies import WRITTEN_EVERYWHERE_SECONDS, Observations, SummedHistogram, write_tallies

QUICK = "http_request_duration_seconds_bucket"


def test_many_observations_at_once_are_one_after_the_other() -> None:
    """On the buckets' ends and beyond the last one too."""
    drawn = random.Random(7)
    values = [*LATENCY_SECONDS, 0.0, 11.0, *(drawn.expovariate(10) for _ in range(1_000))]
    one_by_one, together = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "Latency.", buckets=LATENCY_SECONDS, registry=one_by_one)
    observations = Observations(LATENCY_SECONDS)
    for value in values:
        histogram.observe(value)
        observations.add(value)

    SummedHistogram("seconds", "Latency.", buckets=LATENCY_SECONDS, registry=together).add(
        observations.counts, observations.total
    )

    assert generate_latest(together) == generate_latest(one_by_one)


def counted(route: str) -> float:
    """Requests of a route, as the figures tell."""
    return REGISTRY.get_sample_value("http_requests_total", {"method": "GET", "status": "2xx", "handler": route}) or 0.0


def told(name: str, **labels: str) -> float:
    """A figure as it stands."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_is_counted_is_written_a_moment_later_and_once() -> None:
    sent, quick = told("http_response_size_bytes_sum"), told(QUICK, group="read", le="0.005")
    for total in (3.0, 6.0):
        for _ in range(3):
            count_request(method="GET", status=200, route="/tallied", seconds=0.004, received_bytes=0, sent_bytes=5)
        await asyncio.sleep(WRITTEN_EVERYWHERE_SECONDS)
        assert counted("/tallied") == total
    write_tallies()

    assert counted("/tallied") == 6.0
    assert told("http_request_seconds_total", method="GET", handler="/tallied") == pytest.approx(0.024)
    assert told("http_response_size_bytes_sum") == sent + 30.0
    assert told(QUICK, group="read", le="0.005") == quick + 6.0


class Failing:
    """Fails so often before it can be written."""

    def __init__(self, failures: int) -> None:
        self.failures, self.written = failures, 0

    def write(self) -> None:
        """Count the successes."""
        if self.failures:
            self.failures -= 1
            raise OSError
        self.written += 1


async def test_what_cannot_be_written_is_tried_again_and_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "WRITTEN_AGAIN_SECONDS", 0.0)
    noted = [Failing(failures=2), Failing(failures=0)]
    for each in noted:
        tallies.note_changed(each)

    await asyncio.sleep(10 * WRITTEN_EVERYWHERE_SECONDS)

    assert [each.written for each in noted] == [1, 1]
