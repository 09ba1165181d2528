"""Spans as a collector is told them: whose trace, what within what, and nothing that a person typed."""

import asyncio
import contextlib
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, TraceFlags
from procrastinate import JobContext
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import create_engine
from app.core.jobs import DATA_QUEUE, open_queue
from app.core.monitoring import span_export, spans
from app.core.monitoring.collector import spans_told
from app.core.monitoring.server_spans import ServerSpans
from app.features.market_data import collecting, tasks
from app.features.market_data.service import publish_windows
from app.main import create_app
from app.supervisor.start_checks import refuse_what_cannot_work
from app.worker import _work_on
from data_pipeline.errors import ConfigurationError
from tests.app.accounts import Account
from tests.app.core.monitoring.otlp_collector import Collector
from tests.app.core.monitoring.otlp_collector import collecting as collecting_spans
from tests.app.scripted_source import ScriptedSource
from tests.app.serving import free_port
from tests.app.windows import fresh_window

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
SERVER, CLIENT, CONSUMER = 2, 3, 5  # as OTLP counts the kinds
PREDICT = "GET /predict/{ticker:path}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """What takes the spans of this test, soon."""
    monkeypatch.setattr(span_export, "EVERY_MILLISECONDS", 20)
    with collecting_spans() as collector:
        yield collector


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    """Spans are told; the first collection of a process imports the pipeline, which takes seconds."""
    return settings.model_copy(
        update={"otlp_endpoint": collector.endpoint, "collect_wait_seconds": 30.0, "log_level": "INFO"}
    )


async def test_a_request_is_a_span_in_its_callers_trace_and_holds_its_statements(
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    collector: Collector,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await publish_windows(db, [fresh_window("PETR4.SA")])
    headers = {**registered_user.headers, "traceparent": SAMPLED, "x-request-id": "r-1"}
    collector.spans.clear()

    answer = await client.get("/predict/PETR4.SA?days_ahead=3", headers=headers)
    (span,) = await asyncio.to_thread(collector.wait_for, PREDICT)
    # spans of what the fixtures asked may come in a later batch: they are of other traces
    statements = [told for told in collector.spans if told.kind == CLIENT and told.trace == TRACE]

    assert answer.status_code == 200
    assert (span.trace, span.parent, span.kind, span.failed) == (TRACE, SPAN, SERVER, False)
    assert span.service == "closecast-api"
    assert 0 < span.seconds < 30
    assert span.attributes == {
        "closecast.request_id": "r-1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/predict/{ticker:path}",
        "url.scheme": "http",
    }
    assert span.span in {told.parent for told in statements}
    assert {told.trace for told in collector.spans if told.parent == span.span} == {TRACE}
    assert "SELECT serving_windows" in {told.name for told in statements}
    assert "PETR4" not in repr(collector.spans)
    assert collector.paths[0] == "/v1/traces"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"r-1"' in line]
    assert [line["traceparent"] for line in lines if line["event"] == "request"] == [f"00-{TRACE}-{span.span}-01"]


async def test_an_answer_that_is_at_hand_is_a_span_too(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, collector: Collector
) -> None:
    """The short way goes around FastAPI, not around this."""
    await publish_windows(db, [fresh_window("AAPL")])
    for _ in range(3):
        assert (await client.get("/predict/AAPL", headers=registered_user.headers)).status_code == 200

    found = await asyncio.to_thread(collector.wait_for, PREDICT, 3)

    assert {span.attributes["http.route"] for span in found} == {"/predict/{ticker:path}"}
    last = max(found, key=lambda span: collector.spans.index(span))
    read = {span.name for span in collector.spans if span.parent == last.span}
    assert read <= {"SELECT users"}  # whether who asks may still ask is looked up now and then; nothing else is read


async def test_a_job_is_in_the_trace_of_the_request_that_asked_for_it(
    app: FastAPI,
    client: httpx.AsyncClient,
    registered_user: Account,
    settings: Settings,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = ScriptedSource(bars={"AAPL": 300})
    monkeypatch.setattr(collecting, "open_sources", lambda _settings: source)
    async with _working(settings):
        headers = {**registered_user.headers, "traceparent": SAMPLED}
        answer = await client.get("/predict/AAPL", headers=headers)
        (job,) = await asyncio.to_thread(collector.wait_for, "job collect")

    (asked,) = await asyncio.to_thread(collector.wait_for, PREDICT)
    (fetch,) = collector.wait_for("fetch bars")
    assert answer.status_code == 200, answer.text
    assert (job.trace, job.kind, job.failed) == (TRACE, CONSUMER, False)
    assert asked.trace == TRACE
    assert job.attributes["messaging.destination.name"] == DATA_QUEUE
    assert (fetch.trace, fetch.parent) == (TRACE, job.span)
    assert fetch.attributes["closecast.source"] == "scripted"
    assert fetch.attributes["closecast.bars"] == 300
    assert job.span in {span.parent for span in collector.spans if span.kind == CLIENT and span.name != "fetch bars"}


@contextlib.asynccontextmanager
async def _working(settings: Settings) -> AsyncIterator[None]:
    """A worker for bars, as ``app.worker`` has it work."""
    async with open_queue(settings) as (queue, tools):
        tasks.add_tasks(queue)
        queue.periodic_registry.periodic_tasks.clear()
        running = asyncio.create_task(_work_on(queue, tools, DATA_QUEUE))
        yield
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_job_that_fails_says_so_by_the_class_of_its_error(settings: Settings, collector: Collector) -> None:
    async def fail(context: JobContext) -> None:
        raise ProgrammingError("said by PETR4.SA", None, ValueError())

    with spans_told(settings, "closecast-worker"):
        async with open_queue(settings) as (queue, tools):
            queue.task(name="fail", queue=DATA_QUEUE, pass_context=True)(fail)
            await queue.configure_task("fail").defer_async(traceparent=SAMPLED)
            running = asyncio.create_task(_work_on(queue, tools, DATA_QUEUE))
            (job,) = await asyncio.to_thread(collector.wait_for, "job fail")
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    assert (job.trace, job.parent, job.failed, job.service) == (TRACE, SPAN, True, "closecast-worker")
    assert job.attributes["error.type"] == "ProgrammingError"
    assert "PETR4" not in repr(collector.spans)


async def test_a_worker_that_records_nothing_runs_jobs_that_were_asked_for_in_a_trace(settings: Settings) -> None:
    done = asyncio.Event()

    async def work(context: JobContext, ticker: str) -> None:
        assert ticker == "AAPL"
        done.set()

    async with open_queue(settings.model_copy(update={"otlp_endpoint": None})) as (queue, tools):
        queue.task(name="work", queue=DATA_QUEUE, pass_context=True)(work)
        await queue.configure_task("work").defer_async(ticker="AAPL", traceparent=SAMPLED)
        running = asyncio.create_task(_work_on(queue, tools, DATA_QUEUE))
        await asyncio.wait_for(done.wait(), 20)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_refused_statement_is_a_failed_span_without_its_values(
    settings: Settings, collector: Collector
) -> None:
    with spans_told(settings, "test"):
        engine = create_engine(settings)
        async with engine.connect() as connection:
            with spans.span("around"), pytest.raises(ProgrammingError):
                await connection.execute(text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
            await connection.rollback()
            await connection.execute(text("SELECT 1"))  # within nothing: not recorded
        await engine.dispose()

    (failed,) = collector.wait_for("SELECT nowhere")
    assert failed.failed
    assert failed.attributes["db.query.text"] == "SELECT %(secret)s FROM nowhere"
    assert {span.name for span in collector.spans} == {"around", "SELECT nowhere"}
    assert "hunter2" not in repr(collector.spans)


@pytest.mark.parametrize(("traceparent", "ratio"), [(NOT_SAMPLED, 1.0), (None, 0.0)])
async def test_a_trace_that_is_not_sampled_is_not_told(
    settings: Settings, collector: Collector, traceparent: str | None, ratio: float
) -> None:
    with spans_told(settings.model_copy(update={"otlp_sample_ratio": ratio}), "test"):
        begun = spans.begin("GET", SpanKind.SERVER, traceparent)
        with spans.as_current(begun), spans.span("within"):
            assert spans.open_traceparent() is None
            assert not int(spans.traceparent_of(begun)[-2:], 16) & TraceFlags.SAMPLED

    assert collector.spans == []


def test_without_a_collector_nothing_is_on_the_way(app: FastAPI, settings: Settings) -> None:
    """``app`` has one here, so the middleware is found where it is added."""
    assert _has_server_spans(app)
    assert spans.are_recorded()
    off = settings.model_copy(update={"otlp_endpoint": None})
    assert not _has_server_spans(create_app(off))
    with spans_told(off, "test"):
        pass


def _has_server_spans(app: FastAPI) -> bool:
    return any(added.cls == ServerSpans for added in app.user_middleware)  # type: ignore[comparison-overlap]


def test_a_collector_that_is_away_costs_one_line_and_no_time(
    settings: Settings, collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one when it is back."""
    monkeypatch.setattr(span_export, "TIMEOUT_SECONDS", 0.2)
    collector.status = 400  # refused at once: nothing is repeated
    with spans_told(settings, "test"):
        for number in range(3):
            _record(100)
            collector.wait_until_refused(number + 1)
            logging.getLogger("opentelemetry.sdk").warning("a library that repeats itself")
        collector.status = 200
        _record(1)
        collector.wait_for("one")

    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, told
    assert told[0] == f"the collector at {collector.endpoint} takes no spans: they are dropped until it does"
    assert re.fullmatch(r"the collector takes spans again; [23]\d\d were lost", told[1])  # the last batch may go on


@pytest.mark.parametrize("how", ["silent", "nobody"])
def test_a_collector_that_never_answers_holds_nobody_up(
    settings: Settings,
    collector: Collector,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """Neither who records, however much, nor the end of the process."""
    monkeypatch.setattr(span_export, "TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(span_export, "CLOSING_SECONDS", 0.3)
    monkeypatch.setattr(span_export, "MOST_WAITING", 5_120)  # ten batches: to wait for each would take 30 s
    collector.silent = True
    endpoint = collector.endpoint if how == "silent" else f"http://127.0.0.1:{free_port()}"

    with spans_told(settings.model_copy(update={"otlp_endpoint": endpoint}), "test"):
        started = monotonic()
        _record(5_000)
        assert monotonic() - started < 20.0
        closing = monotonic()
    assert monotonic() - closing < 20.0

    assert len(caplog.records) == 1, caplog.text


def test_what_waits_for_a_collector_is_bounded(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_export, "MOST_WAITING", 600)
    monkeypatch.setattr(span_export, "TIMEOUT_SECONDS", 0.5)
    collector.silent = True
    with spans_told(settings, "test"):
        _record(512)
        collector.wait_until_asked()
        _record(5_000)
        collector.silent = False

    assert 0 < len(collector.spans) <= 600


def _record(number: int) -> None:
    for _ in range(number):
        with spans.span("one"):
            pass


@pytest.mark.parametrize("missing", ["opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"])
def test_a_missing_package_is_told_before_anything_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    wanted = r"^CLOSECAST_OTLP_ENDPOINT needs the extra `tracing`: pip install 'closecast\[tracing\]'$"

    with pytest.raises(ConfigurationError, match=wanted):
        refuse_what_cannot_work(settings, asks_sources=False)
    with pytest.raises(ConfigurationError, match=wanted), spans_told(settings, "test"):
        pass
    refuse_what_cannot_work(settings.model_copy(update={"otlp_endpoint": None}), asks_sources=False)


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://", "http://me:word@collector:4318", "http://c/?a=b"])
def test_an_endpoint_is_an_address_without_a_password(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="CLOSECAST_OTLP_ENDPOINT"):
        Settings(_env_file=None, CLOSECAST_OTLP_ENDPOINT=endpoint)
