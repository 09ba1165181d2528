"""A span for each SQL statement of a request or a job, without its parameters."""

import re
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExceptionContext, ExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.monitoring import spans

STATEMENTS_NAMED = 1_000  # ours are some hundreds
TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(?:\w+"?\.)?"?(\w+)', re.IGNORECASE)
HELD = "closecast_span"  # the name under which a connection holds the span of its statement


def record_statements(engine: AsyncEngine) -> None:
    """Have a span recorded for each statement that is executed within another span.

    Statements of background work, such as the polls of every few seconds, belong to nothing and are left out.
    """
    event.listen(engine.sync_engine, "before_cursor_execute", _before)
    event.listen(engine.sync_engine, "after_cursor_execute", _after)
    event.listen(engine.sync_engine, "handle_error", _failed)


def _before(
    connection: Connection,
    _cursor: DBAPICursor,
    statement: str,
    _values: Any,
    _how: ExecutionContext | None,
    _many: bool,
) -> None:
    if not trace.get_current_span().is_recording():
        return
    operation, name = named(statement)
    attributes = {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": statement}
    connection.info[HELD] = spans.begin(name, SpanKind.CLIENT, attributes=attributes)


def _after(connection: Connection, *_what: Any) -> None:
    begun: Span | None = connection.info.pop(HELD, None)
    if begun is not None:
        begun.end()


def _failed(context: ExceptionContext) -> None:
    begun: Span | None = None if context.connection is None else context.connection.info.pop(HELD, None)
    if begun is not None:
        spans.fail(begun, context.original_exception)
        begun.end()


@lru_cache(STATEMENTS_NAMED)
def named(statement: str) -> tuple[str, str]:
    """A statement's operation, and a short name with the first table that it touches.

    >>> named("SELECT a FROM forecasts WHERE id = %(id)s")
    ('SELECT', 'SELECT forecasts')
    >>> named("SET LOCAL lock_timeout = 1")
    ('SET', 'SET')
    """
    operation = statement.split(maxsplit=1)[0].upper() if statement.strip() else "UNKNOWN"
    target = TARGET.search(statement)
    return operation, operation if target is None else f"{operation} {target[1]}"
