"""Spans on their way to a collector: in batches, by a thread of their own, dropped where it is away or slow.

Only this module needs the extra `tracing`; it is imported where a collector is set.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from time import monotonic

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from app.core.monitoring import spans

logger = logging.getLogger(__name__)

MOST_WAITING = 2_048  # spans; the oldest give way to new ones
BATCH = 512  # spans
EVERY_MILLISECONDS = 1_000
TIMEOUT_SECONDS = 2.0  # of one batch, its repetitions included
CLOSING_SECONDS = 2.0  # at the end, beside the batch under way: a process that ends is waited for
LONGEST_ATTRIBUTE = 2_048  # characters: statements of a hundred rows repeat themselves


@contextmanager
def told_to_collector(endpoint: str, sample_ratio: float, service: str) -> Iterator[None]:
    """Record spans, and tell them to the collector at ``endpoint``, until the block ends.

    Parameters
    ----------
    endpoint : base address of OTLP over HTTP, such as ``http://collector:4318``.
    sample_ratio : share of the traces that begin here; who sends a trace decides about that one.
    service : the name that these spans are found under.
    """
    exporter = TellingExporter(endpoint)
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
        resource=Resource.create(
            {"service.name": service, "service.version": version("closecast"), "process.pid": os.getpid()}
        ),
        span_limits=SpanLimits(max_attribute_length=LONGEST_ATTRIBUTE),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=MOST_WAITING,
            max_export_batch_size=BATCH,
            schedule_delay_millis=EVERY_MILLISECONDS,
        )
    )
    with _silent_library(), spans.recorded_by(provider.get_tracer("closecast")):
        try:
            yield
        finally:
            exporter.close_within(CLOSING_SECONDS)
            provider.shutdown()


class TellingExporter(SpanExporter):
    """OTLP over HTTP that says once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT_SECONDS)
        self._lost = 0
        self._close_by: float | None = None

    def close_within(self, seconds: float) -> None:
        """Drop what is not told by then."""
        self._close_by = monotonic() + seconds

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Tell one batch; a failure loses it."""
        result = SpanExportResult.FAILURE
        if self._close_by is None or monotonic() < self._close_by:
            result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                logger.warning("the collector takes spans again; %d were lost", self._lost)
            self._lost = 0
        else:
            if not self._lost:
                logger.warning("the collector at %s takes no spans: they are dropped until it does", self._endpoint)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Close its connections."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library leaves it untyped


@contextmanager
def _silent_library() -> Iterator[None]:
    """Its loggers repeat themselves with every batch and every dropped span; the exporter above says it once."""
    library = logging.getLogger("opentelemetry")
    former = library.level
    library.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        library.setLevel(former)
