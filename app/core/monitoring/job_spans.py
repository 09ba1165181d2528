"""A span for each job, in the trace of the request that asked for it: Procrastinate's middleware of a worker."""

from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.trace import SpanKind
from procrastinate import JobContext
from procrastinate.types import JSONValue
from procrastinate.worker import Worker
from structlog.contextvars import bound_contextvars

from app.core.monitoring import spans

ARGUMENT = "traceparent"  # of a job, beside those of its task; there only where the API records spans


def trace_argument() -> dict[str, JSONValue]:
    """What a job is told of the span that asks for it; nothing where none is recorded."""
    traceparent = spans.open_traceparent()
    return {} if traceparent is None else {ARGUMENT: traceparent}


async def trace_job(call_next: Callable[[], Awaitable[Any]], context: JobContext, _worker: Worker) -> Any:
    """Run one job; the task itself is never handed the trace, whether spans are recorded here or not."""
    job = context.job
    asked_in = job.task_kwargs.pop(ARGUMENT, None)
    if not spans.are_recorded():
        return await call_next()
    attributes = {
        "messaging.system": "procrastinate",
        "messaging.destination.name": job.queue,
        "messaging.message.id": str(job.id),
        "closecast.job.attempts": job.attempts,
    }
    begun = spans.begin(
        f"job {job.task_name}", SpanKind.CONSUMER, asked_in if isinstance(asked_in, str) else None, attributes
    )
    with spans.as_current(begun), bound_contextvars(traceparent=spans.traceparent_of(begun)):
        return await call_next()
