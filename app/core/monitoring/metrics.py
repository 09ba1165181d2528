"""What Prometheus is told. Every label has a fixed, small set of values, so the number of series is bounded."""

import os
from collections import Counter as Counts
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus

from fastapi import FastAPI
from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator

from app.core.monitoring import process_watch
from app.core.monitoring.request_meter import count_info
from app.core.monitoring.tallies import Observations, SummedHistogram, note_changed, write_tallies
from data_pipeline.sources.base import PriceSourceError
from ml_lifecycle.evaluation.intervals import INTERVALS

# Each would tell of the one process that answers, where several are told of together, and of each series' birth.
for _collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
    REGISTRY.unregister(_collector)
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped

DAY_SECONDS = 86_400
INFERENCE_SECONDS = (0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5)
DATA_AGE_SECONDS = tuple(days * DAY_SECONDS for days in (0.5, 1, 2, 3, 4, 5, 7, 10, 30, 365))


class ForecastOutcome(StrEnum):
    """How one asking for a forecast ended."""

    COMPUTED = "computed"  # the first answer for this bundle, ticker and cutoff: inferred and frozen
    REPEATED = "repeated"  # frozen before: read
    UNKNOWN = "unknown"  # no such ticker, or none with prices
    REFUSED = "refused"  # the request, or the history, does not allow a forecast
    UNAVAILABLE = "unavailable"  # a source or the database did not answer in time
    FAILED = "failed"  # on our side


forecasts_total = Counter("closecast_forecasts_total", "Forecasts asked for, by how that ended.", ["outcome"])
inference_seconds = Histogram(
    "closecast_inference_seconds", "From the serving window to quantiles, database left out.", buckets=INFERENCE_SECONDS
)
data_age_seconds = SummedHistogram(
    "closecast_data_age_seconds",
    "Age of the newest bar behind each answered forecast, from its day's beginning.",
    buckets=DATA_AGE_SECONDS,
)
source_errors_total = Counter("closecast_source_errors_total", "Failed askings of a price source, by cause.", ["cause"])
lease_expiries_total = Counter(
    "closecast_training_lease_expiries_total", "Jobs whose worker gave no heartbeat for a lease."
)
champion_age_seconds = Gauge(
    "closecast_champion_age_seconds",
    "Time since the champion was made, even where the reference serves in its place; 0 for a reference as champion.",
    multiprocess_mode="livemostrecent",
)
champion_max_age_seconds = Gauge(
    "closecast_champion_max_age_seconds",
    "Age past which a champion is flagged: the setting model_max_age_days.",
    multiprocess_mode="livemostrecent",
)


OF_A_WORKER = (source_errors_total, lease_expiries_total, *process_watch.OF_EVERY_PROCESS)


class _ForecastTally:
    """Answered forecasts that are not written yet."""

    def __init__(self) -> None:
        self.ended = Counts[ForecastOutcome]()
        self.ages = Observations(DATA_AGE_SECONDS)

    def write(self) -> None:
        """Add them to the figures."""
        for outcome, number in self.ended.items():
            forecasts_total.labels(outcome).inc(number)
        self.ended.clear()
        data_age_seconds.add(self.ages.counts, self.ages.total)
        self.ages.clear()


_answered = _ForecastTally()


def count_answered(outcome: ForecastOutcome, age_seconds: float | None) -> None:
    """Count an answered forecast; ``age_seconds`` of its newest bar, None: of the past. Known a moment later."""
    if not _answered.ended:
        note_changed(_answered)
    _answered.ended[outcome] += 1
    if age_seconds is not None:
        _answered.ages.add(age_seconds)


live_coverage_rejected = Gauge(
    "closecast_live_coverage_rejected",
    "1 where the served bundle's live intervals of one day ahead do not hold as often as they promise, by that promise "
    "in percent (binomial test over the last 365 days, below 1 %); 0 otherwise, and while there are too few days.",
    ["level"],
    multiprocess_mode="livemostrecent",
)


def _causes(kind: type[PriceSourceError]) -> Iterator[str]:
    yield kind.cause
    for narrower in kind.__subclasses__():
        yield from _causes(narrower)


# A series that is there from the start can be alerted on.
for level in INTERVALS:
    live_coverage_rejected.labels(f"{100 * level:.0f}")
for outcome in ForecastOutcome:
    forecasts_total.labels(outcome)
for cause in _causes(PriceSourceError):
    source_errors_total.labels(cause)


def instrument(app: FastAPI) -> None:
    """Count and time every request by its route's template; unknown paths are one series."""
    Instrumentator(should_group_status_codes=False).add(count_info).instrument(app)


def outcome_of(status: int) -> ForecastOutcome:
    """What an error's status is counted as."""
    if status == HTTPStatus.NOT_FOUND:
        return ForecastOutcome.UNKNOWN
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ForecastOutcome.UNAVAILABLE
    return ForecastOutcome.FAILED if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ForecastOutcome.REFUSED


def count_source_error(error: PriceSourceError) -> None:
    """Count one failed asking; ``cause`` is its class's."""
    source_errors_total.labels(error.cause).inc()


def exposition(*further: Collector) -> bytes:
    """Everything, in Prometheus' text format: of all processes where they share ``PROMETHEUS_MULTIPROC_DIR``.

    ``further``: what this process alone can tell.
    """
    write_tallies()
    own = CollectorRegistry()
    for collector in further:
        own.register(collector)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(own)
    MultiProcessCollector(own)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
    return generate_latest(own)


def serve_worker_metrics(port: int) -> None:
    """Serve what a worker counts at ``port`` of every interface until the process ends; raises OSError.

    The API's own figures are left out: a champion's age of 0 s, say, would be untrue here.
    """
    registry = CollectorRegistry()
    for collector in OF_A_WORKER:
        registry.register(collector)
    start_http_server(port, addr="0.0.0.0", registry=registry)  # noqa: S104 (asked for; Prometheus is another host)
