"""A span for each request, in its caller's trace. Added to the application only where a collector is set."""

from http import HTTPStatus

from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.monitoring import spans
from app.core.monitoring.requests import describe
from app.core.monitoring.tracing import current_request


class ServerSpans:
    """ASGI middleware, within the one that knows the request and outside of all that answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = current_request.get()
        if request is None:  # no request: the lifespan
            await self.app(scope, receive, send)
            return
        begun = spans.begin(scope["method"], SpanKind.SERVER, request.sent_traceparent)
        if begun.get_span_context().is_valid:
            request.traceparent = spans.traceparent_of(begun)
        begun.set_attribute("closecast.request_id", request.request_id)

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_status(begun, message["status"])
            await send(message)

        with spans.as_current(begun):
            try:
                await self.app(scope, receive, send_noting)
            finally:
                _describe(begun, scope)


def _note_status(begun: Span, status: int) -> None:
    begun.set_attribute("http.response.status_code", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # a 4xx is the caller's doing
        begun.set_status(StatusCode.ERROR)


def _describe(begun: Span, scope: Scope) -> None:
    """Its name and its route, which are known at its end; never path or query."""
    described = describe(scope)
    method, route = described["method"], described["route"]
    begun.update_name(f"{method} {route}")
    begun.set_attributes({"http.request.method": method, "http.route": route, "url.scheme": scope["scheme"]})
