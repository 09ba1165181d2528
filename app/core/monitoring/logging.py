"""One JSON object a line on stderr, from our own code and from every library, with secrets left out."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.core.monitoring.tracing import current_request

HIDDEN = "******"
SECRET_NAME = re.compile(r"password|secret|token|authorization|cookie|api_key|credential", re.IGNORECASE)
# Wherever they stand, exception texts included: signed tokens, bearer headers, API keys, passwords inside URLs.
SECRET_TEXT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=[Bb]earer )\S+|(?<=closecast_)[\w-]{43}|(?<=://)[^/@\s]+(?=@)")
UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
TALKATIVE_LOGGERS = ("httpx", "httpcore")  # at INFO they repeat whole addresses, queries included


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: what has a secret's name or shape is replaced.

    >>> hide_secrets(None, "info", {"event": "Bearer abc", "password": "x", "client": {"refresh_token": "y"}})
    {'event': 'Bearer ******', 'password': '******', 'client': {'refresh_token': '******'}}
    """
    return {name: _without_secrets(name, value) for name, value in event.items()}


def _without_secrets(name: str, value: Any) -> Any:
    if SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return SECRET_TEXT.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(name, inner) for inner in value]
    return value


def name_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: say in which request a line was written, if in any."""
    if (request := current_request.get()) is not None:
        event.setdefault("request_id", request.request_id)
        event.setdefault("traceparent", request.traceparent)
    return event


class StderrLogger:
    """Writes finished lines to what stderr is at that moment."""

    def msg(self, line: str) -> None:
        """Write one line, in one piece, so that lines of several threads do not mix."""
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg


class JsonHandler(logging.Handler):
    """Where the standard library's records end: the same stream and the same form as our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        StderrLogger().msg(self.format(record))


def configure_logging(level: str) -> None:
    """Send structlog's and the standard library's records to stderr as JSON. May be called again."""
    structlog.configure(
        processors=[*_common_processors(), *_finishing_processors()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_names: StderrLogger(),
        cache_logger_on_first_use=False,
    )
    handler = JsonHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_common_processors(), structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_finishing_processors()],
        )
    )
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if not isinstance(kept, JsonHandler)] + [handler]
    root.setLevel(level)
    for name in UVICORN_LOGGERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # it would write paths and queries; we write one line instead


def _common_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        name_request,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _finishing_processors() -> list[Processor]:
    return [
        # Plain tracebacks: the rich ones show local variables, and so passwords.
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.processors.JSONRenderer(),
    ]
