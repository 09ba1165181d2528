"""Which request, and which trace it belongs to (W3C Trace Context)."""

import os
import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Self

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Version 00 ends after the flags; a later one may go on, and is read as far as it is known.
TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
NOT_SAMPLED = "00"


def accept_request_id(sent: str | None) -> str:
    """The caller's id where it is harmless to log and to answer, else one of our own."""
    return sent if sent is not None and REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()


@dataclass(frozen=True)
class Trace:
    """This request's place in a trace."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        """As it is sent to whatever is called on this request's behalf."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @classmethod
    def continued(cls, traceparent: str | None) -> Self:
        """A span of our own in the caller's trace, or in a new trace where the caller names none that is valid.

        >>> Trace.continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").trace_id
        '4bf92f3577b34da6a3ce929d0e0e4736'
        """
        span_id, sent = secrets.token_hex(8), parsed(traceparent)
        if sent is None:
            return cls(trace_id=secrets.token_hex(16), span_id=span_id, flags=NOT_SAMPLED)
        return cls(trace_id=sent.trace_id, span_id=span_id, flags=sent.flags)


@dataclass
class TracedRequest:
    """What a log line says of the request that it was written in; the span is named when something first asks.

    Where spans are told to a collector, ``traceparent`` is set to the one that is recorded.
    """

    request_id: str
    sent_traceparent: str | None

    @cached_property
    def traceparent(self) -> str:
        """This request's place in its trace."""
        return Trace.continued(self.sent_traceparent).traceparent


current_request: ContextVar[TracedRequest | None] = ContextVar("current_request", default=None)


def parsed(traceparent: str | None) -> Trace | None:
    """The caller's span; None where what was sent is no valid ``traceparent``."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    if match is None or not _is_valid(match):
        return None
    return Trace(trace_id=match["trace"], span_id=match["span"], flags=match["flags"])


def _is_valid(match: re.Match[str]) -> bool:
    unfinished = match["version"] == "00" and match["rest"] is not None
    return not unfinished and int(match["trace"], 16) != 0 and int(match["span"], 16) != 0
