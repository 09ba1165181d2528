"""Spans: what took how long on whose behalf, in OpenTelemetry's words, where a collector is set to be told.

Without one nothing here is on the way of a request: no middleware, no listener of SQLAlchemy's, no import of the SDK.
What is recorded never holds what a person typed: routes by their templates, statements without their parameters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer

from app.core.monitoring.tracing import Trace, parsed

_tracers: list[Tracer] = []  # the last one records; empty: nobody does


@contextmanager
def recorded_by(tracer: Tracer) -> Iterator[None]:
    """Have spans recorded until the block ends."""
    _tracers.append(tracer)
    try:
        yield
    finally:
        _tracers.remove(tracer)


def are_recorded() -> bool:
    """Whether a collector is told."""
    return bool(_tracers)


def begin(name: str, kind: SpanKind, traceparent: str | None = None, attributes: dict[str, Any] | None = None) -> Span:
    """Begin a span that whoever asks must end, in the trace of ``traceparent`` or, where that is none, of the caller.

    Nothing is recorded where the trace is not sampled.
    """
    tracer = _tracers[-1] if _tracers else trace.NoOpTracer()
    return tracer.start_span(name, _remote(traceparent), kind, attributes)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: Any) -> Iterator[Span]:
    """A span around the block, within the one that is open; an exception is noted and goes on."""
    with as_current(begin(name, kind, attributes=attributes)) as begun:
        yield begun


@contextmanager
def as_current(begun: Span) -> Iterator[Span]:
    """Make ``begun`` the open one until the block ends, and end it; an exception is noted by its class and goes on."""
    with trace.use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield begun
        except BaseException as error:
            fail(begun, error)
            raise


def fail(failed: Span, error: BaseException) -> None:
    """Note that a span's work failed; by the error's class alone, since its text may repeat what a person typed."""
    failed.set_attribute("error.type", type(error).__name__)
    failed.set_status(StatusCode.ERROR)


def traceparent_of(begun: Span) -> str:
    """A span as what is called within it is told of it."""
    found = begun.get_span_context()
    return Trace(f"{found.trace_id:032x}", f"{found.span_id:016x}", f"{found.trace_flags:02x}").traceparent


def open_traceparent() -> str | None:
    """Of the span that is open and recorded; None: none is."""
    current = trace.get_current_span()
    return traceparent_of(current) if current.is_recording() else None


def _remote(traceparent: str | None) -> Context | None:
    """The caller's span as a context; None: whatever is open here."""
    found = parsed(traceparent)
    if found is None:
        return None
    flags = TraceFlags(int(found.flags, 16) & TraceFlags.SAMPLED)
    remote = SpanContext(int(found.trace_id, 16), int(found.span_id, 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))
