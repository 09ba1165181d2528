"""What happens around every request: its id, its trace, its log line, safe headers, and the one 500."""

from time import perf_counter
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from app.core.limits import HEADERS_STATE
from app.core.monitoring.metrics import count_unanswered
from app.core.monitoring.tracing import Trace, accept_request_id
from app.core.problems import INTERNAL, METHOD_UNKNOWN, problem_response

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
NO_ROUTE = "none"  # all unknown paths are one, as in the metrics

# An answer may say otherwise about itself (the pages under /docs do); silence means the strictest.
SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
OVER_TLS = {"strict-transport-security": "max-age=31536000; includeSubDomains"}

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
        headers = Headers(scope=scope)
        request_id = accept_request_id(headers.get("x-request-id"))
        trace = Trace.continued(headers.get("traceparent"))
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id, traceparent=trace.traceparent):
            await self._serve(scope, receive, Answer(scope, send, request_id))

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
            if answer.status is not None:
                count_unanswered(route_template(scope), answer.status)
            if self.log_requests:
                latency_ms = round((perf_counter() - started) * 1000, 3)
                log.info("request", **describe(scope), status=answer.status, latency_ms=latency_ms)


class Answer:
    """Passes an answer on, with the headers that every answer has; remembers its status."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._send = send
        self._state = scope["state"]
        self._headers = {**SAFE_HEADERS, **(OVER_TLS if scope["scheme"] == "https" else {})}
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            headers.update(self._state.get(HEADERS_STATE, {}))
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)


def describe(scope: Scope) -> dict[str, Any]:
    """What the log says of a request: never its path or query, which may hold what a person typed."""
    method = scope["method"] if scope["method"] in KNOWN_METHODS else "unknown"
    return {"method": method, "route": route_template(scope)}


def route_template(scope: Scope) -> str:
    """``/predict/{ticker}``, or ``none``."""
    template: str = getattr(scope.get("route"), "path", NO_ROUTE)
    return template
