"""What happens around every request: its id, its trace, its log line, safe headers, and the one 500."""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from app.core.limits import TOLD_STATE, headers_of
from app.core.monitoring.metrics import forecasts_total, outcome_of
from app.core.monitoring.request_meter import FORECASTS
from app.core.monitoring.tracing import TracedRequest, accept_request_id, current_request
from app.core.monitoring.unanswered import UnansweredTally
from app.core.problems import INTERNAL, METHOD_UNKNOWN, problem_response

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
# Who may not ask, or not as often, has asked for nothing: neither strangers nor one user past their limits may thin out
# the share of failures. Every 429 is the asker's own limit; an API that is too busy says 503.
NOT_ADMITTED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
NO_ROUTE = "none"  # all unknown paths are one, as in the metrics

SETS_OF_HEADERS = 256  # our answers have a dozen: what is remembered of each is which headers are added

RawHeader = tuple[bytes, bytes]

# An answer may say otherwise about itself (the pages under /docs do); silence means the strictest.
SAFE_HEADERS: tuple[RawHeader, ...] = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
SAFE_OVER_TLS = (*SAFE_HEADERS, (b"strict-transport-security", b"max-age=31536000; includeSubDomains"))

log: FilteringBoundLogger = structlog.get_logger()


class RequestMiddleware:
    """The outermost layer that knows the request; ``log_requests`` False leaves out its one line."""

    def __init__(self, app: ASGIApp, *, log_requests: bool = True) -> None:
        self.app = app
        self.log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent_id, sent_traceparent = _sent(scope)
        request_id = accept_request_id(sent_id)
        scope.setdefault("state", {})["request_id"] = request_id
        token = current_request.set(TracedRequest(request_id, sent_traceparent))
        try:
            await self._serve(scope, receive, Answer(scope, send, request_id))
        finally:
            current_request.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        started = perf_counter()
        try:
            if scope["method"] in KNOWN_METHODS:
                await self.app(scope, receive, answer)
            else:
                # Not passed on: the metrics would keep a series for each word that somebody invents.
                await problem_response(Request(scope), METHOD_UNKNOWN.document(METHOD_UNKNOWN.example))(
                    scope, receive, answer
                )
        except Exception:
            # The one place for what nobody foresaw: logged whole, answered without a word of it.
            log.exception("unforeseen error", route=route_template(scope))
            if answer.status is not None:
                raise  # the answer has begun: the server cuts the connection, so that it is not taken for whole
            await problem_response(Request(scope), INTERNAL.document(INTERNAL.example))(scope, receive, answer)
        finally:
            if answer.status is not None and answer.status >= HTTPStatus.BAD_REQUEST:
                count_unanswered(scope, answer.status)
            if self.log_requests:
                latency_ms = round((perf_counter() - started) * 1000, 3)
                log.info("request", **describe(scope), status=answer.status, latency_ms=latency_ms)


class Answer:
    """Passes an answer on, with the headers that every answer has; remembers its status."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._send = send
        self._state = scope["state"]
        self._safe_headers = SAFE_OVER_TLS if scope["scheme"] == "https" else SAFE_HEADERS
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._with_ours(message.get("headers", ()))
        await self._send(message)

    def _with_ours(self, headers: Iterable[RawHeader]) -> list[RawHeader]:
        """Bytes are added to bytes: reading and writing them as text would cost as much as a warm forecast's rest."""
        theirs, ours = list(headers), headers_of(self._state.get(TOLD_STATE, {}))
        ours.append((b"x-request-id", self._request_id.encode("latin-1")))
        replaced, silent_about = _set_apart(tuple([name for name, _ in theirs]), tuple([name for name, _ in ours]))
        if replaced:
            theirs = [pair for pair in theirs if pair[0] not in replaced]
        return [*theirs, *ours, *[pair for pair in self._safe_headers if pair[0] in silent_about]]


@lru_cache(SETS_OF_HEADERS)
def _set_apart(theirs: tuple[bytes, ...], ours: tuple[bytes, ...]) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Which names of an answer's headers, as it writes them, give way to ours; about which safe ones it is silent."""
    replaced = frozenset(name for name in theirs if name.lower() in ours)
    return replaced, frozenset(name for name, _ in SAFE_OVER_TLS).difference(name.lower() for name in theirs)


def count_unanswered(scope: Scope, status: int) -> None:
    """Count a forecast that was asked for and not answered, for Prometheus and for /monitor.

    Answered ones count themselves. Of other routes, and of who may not ask, there is nothing to count.
    """
    if route_template(scope) not in FORECASTS or status in NOT_ADMITTED:
        return
    outcome = outcome_of(status)
    forecasts_total.labels(outcome).inc()
    tally: UnansweredTally | None = getattr(scope["app"].state, "unanswered", None)
    if tally is not None:  # where no lifespan runs, nobody writes it
        tally.note(outcome)


def _sent(scope: Scope) -> tuple[str | None, str | None]:
    """``X-Request-ID`` and ``traceparent``, the first of each."""
    request_id, traceparent = None, None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and request_id is None:
            request_id = value.decode("latin-1")
        elif name == b"traceparent" and traceparent is None:
            traceparent = value.decode("latin-1")
    return request_id, traceparent


def describe(scope: Scope) -> dict[str, Any]:
    """What the log says of a request: never its path or query, which may hold what a person typed."""
    method = scope["method"] if scope["method"] in KNOWN_METHODS else "unknown"
    return {"method": method, "route": route_template(scope)}


def route_template(scope: Scope) -> str:
    """``/predict/{ticker}``, or ``none``."""
    template: str = getattr(scope.get("route"), "path", NO_ROUTE)
    return template
