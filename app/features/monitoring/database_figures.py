"""What the database knows of jobs, data, scores and drift, for Prometheus: read now and then, told at any time.

A scrape tells what was read last. It never waits for the database: one that is slow or away is told by
``closecast_database_up``, and old figures are told no more rather than as if they were new.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.jobs import DATA_QUEUE, TRACK_QUEUE, TRAIN_QUEUE
from app.features.monitoring import figures_query
from app.features.stock_prediction.partitions import partition_of
from app.models.after_close import StepState
from app.models.training_job import JobKind, JobStatus

logger = logging.getLogger(__name__)

READ_EVERY_SECONDS = 15.0  # as often as Prometheus asks
FIRST_READ_SECONDS = 1.0  # after the start, which has enough to do
READ_WITHIN_SECONDS = 2.0
TOLD_FOR_SECONDS = 300.0  # then a figure is too old to be told

QUEUES = (DATA_QUEUE, TRAIN_QUEUE, TRACK_QUEUE)
PLACE_STATES = ("todo", "doing", "failed")  # of a job in its queue
FORECAST_KINDS = ("live", "hindcast")
GUARDED_SOURCE = "yfinance"  # the source that has a breaker
CLOSED = "closed"
RECOMMENDATIONS = ("ok", "watch", "retrain")
SEVERITIES = ("moved", "far")


@dataclass(frozen=True)
class Figure:
    """A gauge that the database fills; ``of`` ``instant``: it is read as one, and told as the time since then."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    of: Literal["number", "instant"] = "number"


_ALL = (
    QUEUE_JOBS := Figure("queue_jobs", "Jobs by queue and state.", ("queue", "status")),
    QUEUE_OLDEST := Figure("queue_oldest_seconds", "How long the first due job has waited.", ("queue",)),
    TRAINING_JOBS := Figure("training_jobs", "Long jobs: open, or ended within a day.", ("kind", "status")),
    LEASES_EXPIRED := Figure("training_leases_expired", "Running jobs whose lease is over."),
    CHAIN_STEPS := Figure("after_close_steps", "Steps of the chains of seven days.", ("state",)),
    CIRCUIT_OPEN := Figure("source_circuit_open", "1 where a breaker keeps a source from being asked.", ("source",)),
    LIVE_TICKERS := Figure("live_tickers", "Tickers of a live source that have a serving window."),
    LIVE_TICKERS_LATE := Figure("live_tickers_late", "Of these, those that lack a bar final for six hours."),
    NEWEST_BAR_AGE := Figure("newest_bar_age_seconds", "Since the newest live bar's day began.", of="instant"),
    PARTITIONS_AHEAD := Figure("log_partitions_ahead", "Months ahead that have a partition; -1: nor has this one."),
    FORECASTS_MADE := Figure("forecasts_made_last_day", "Forecasts frozen within 24 hours.", ("kind",)),
    PROMOTED_AT := Figure("champion_promoted_timestamp_seconds", "When the ledger's newest line was written."),
    SCORED := Figure("live_forecasts_scored", "The champion's live forecasts with an outcome.", ("horizon",)),
    VOID := Figure("live_forecasts_void", "Those whose bar never came.", ("horizon",)),
    RELATIVE_MAE := Figure("live_relative_mae", "Mean absolute error over the naive's.", ("horizon",)),
    SKILL_GAIN := Figure("live_skill_gain", "Gain in pinball loss over the naive.", ("horizon",)),
    COVERAGE := Figure("live_coverage", "Share of outcomes inside the interval.", ("horizon", "level")),
    COVERAGE_P := Figure("live_coverage_p", "P-value of that share, binomial test.", ("horizon", "level")),
    DRIFT_RECOMMENDATION := Figure("drift_recommendation", "1: the newest report's.", ("recommendation",)),
    DRIFT_COLUMNS := Figure("drift_columns", "Input columns of the newest report.", ("state",)),
    DRIFT_REPORT_AGE := Figure("drift_report_age_seconds", "Since the newest report.", of="instant"),
)
DATABASE_UP = Figure("database_up", "1 where the last reading came in time.")
FIGURES_AGE = Figure("figures_age_seconds", "Since the last reading that came in time, or the start.")
FIGURES = (DATABASE_UP, FIGURES_AGE, *_ALL)

Value = tuple[Figure, tuple[str, ...], float]


class DatabaseFigures(Collector):
    """Reads in the background; ``collect`` tells."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._values: list[Value] = []
        self._read_at = time.monotonic()
        self._is_up = False
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._reading = asyncio.create_task(self._read_now_and_then(), name="database-figures")

    async def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def read(self) -> None:
        """Read once, within the limit; a database that is away or late leaves what was read before."""
        try:
            async with asyncio.timeout(READ_WITHIN_SECONDS), self._sessions() as db:
                found = await figures_query.read(db)
        except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
            if self._is_up:
                logger.warning("figures cannot be read, the former stay a while: %s", type(error).__name__)
            self._is_up = False
            return
        self._values = list(_values(found))
        self._read_at, self._is_up = time.monotonic(), True

    def collect(self) -> Iterable[Metric]:
        """What was read last, as Prometheus' client wants it."""
        age = time.monotonic() - self._read_at
        values: list[Value] = [(DATABASE_UP, (), float(self._is_up)), (FIGURES_AGE, (), age)]
        if age < TOLD_FOR_SECONDS:
            values += self._values
        families: dict[Figure, GaugeMetricFamily] = {}
        now = time.time()
        for figure, labels, value in values:
            family = families.setdefault(figure, _family(figure))
            family.add_metric(labels, now - value if figure.of == "instant" else value)
        return families.values()

    async def _read_now_and_then(self) -> None:
        await asyncio.sleep(FIRST_READ_SECONDS)
        while True:
            try:
                await self.read()
            except Exception:  # whatever it was: who reads no more tells nothing of all that is to come
                logger.exception("figures were read in vain")
                self._is_up = False
            await asyncio.sleep(READ_EVERY_SECONDS)


def _family(figure: Figure) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"closecast_{figure.name}", figure.meaning, labels=figure.labels)


def _values(found: Mapping[str, Any]) -> Iterator[Value]:
    yield from _of_jobs(found)
    yield from _of_data(found)
    yield from _of_scores(found)
    yield from _of_drift(found["drift"])


def _of_jobs(found: Mapping[str, Any]) -> Iterator[Value]:
    for queue in QUEUES:
        for state in PLACE_STATES:
            yield QUEUE_JOBS, (queue, state), found["places"].get(f"{queue} {state}", 0)
        yield QUEUE_OLDEST, (queue,), max(0.0, found["oldest"].get(queue, 0.0))
    for kind in JobKind:
        for status in JobStatus:
            yield TRAINING_JOBS, (kind, status), found["training"].get(f"{kind} {status}", 0)
    yield LEASES_EXPIRED, (), found["expired"]
    for step_state in StepState:
        yield CHAIN_STEPS, (step_state,), found["steps"].get(step_state, 0)


def _of_data(found: Mapping[str, Any]) -> Iterator[Value]:
    yield CIRCUIT_OPEN, (GUARDED_SOURCE,), float(found["circuits"].get(GUARDED_SOURCE, CLOSED) != CLOSED)
    yield LIVE_TICKERS, (), found["live"]["tickers"]
    yield LIVE_TICKERS_LATE, (), found["live"]["late"]
    if found["live"]["newest"] is not None:
        yield NEWEST_BAR_AGE, (), found["live"]["newest"]
    yield PARTITIONS_AHEAD, (), months_ahead(set(found["partitions"]), datetime.now(UTC))
    for kind in FORECAST_KINDS:
        yield FORECASTS_MADE, (kind,), found["made"].get(kind, 0)


def months_ahead(partitions: set[str], now: datetime) -> int:
    """How many months after the running one have a partition, without a gap; -1 where the running one has none."""
    ahead = -1
    while partition_of(now, ahead + 1)[0] in partitions:
        ahead += 1
    return ahead


def _of_scores(found: Mapping[str, Any]) -> Iterator[Value]:
    if found["promoted"] is not None:
        yield PROMOTED_AT, (), found["promoted"]
    for horizon, figures in sorted(found["skill"].items()):
        yield SCORED, (horizon,), figures["scored"]
        yield VOID, (horizon,), figures["voids"]
        yield from _known(RELATIVE_MAE, (horizon,), figures["relative_mae"])
        yield from _known(SKILL_GAIN, (horizon,), figures["skill"]["pinball_skill"])
        for test in figures["coverage"]:
            level = f"{100 * test['level']:.0f}"
            yield COVERAGE, (horizon, level), test["coverage"]
            yield from _known(COVERAGE_P, (horizon, level), test["p"])


def _known(figure: Figure, labels: tuple[str, ...], value: float | None) -> Iterator[Value]:
    if value is not None:
        yield figure, labels, value


def _of_drift(report: Mapping[str, Any] | None) -> Iterator[Value]:
    if report is None:
        return
    for recommendation in RECOMMENDATIONS:
        yield DRIFT_RECOMMENDATION, (recommendation,), float(report["recommendation"] == recommendation)
    for severity in SEVERITIES:
        yield DRIFT_COLUMNS, (severity,), sum(column["severity"] == severity for column in report["columns"])
    yield DRIFT_REPORT_AGE, (), report["made_at"]
