"""Requests by route: how many, how long, how large. The instrumentator's own figures, counted for less.

Names, labels and meanings are those of ``prometheus_fastapi_instrumentator.metrics.default``. Its function looks every
label up anew; here a route's series are looked up once, since the short way to a warm forecast pays for it each time.
"""

from functools import lru_cache
from typing import NamedTuple

from prometheus_client import Counter, Histogram, Summary
from prometheus_fastapi_instrumentator.metrics import Info

# A warm forecast takes a few milliseconds, an unseen ticker up to eight seconds: both must be told apart.
LATENCY_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENCY_BY_ROUTE_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)  # once per route and method, so fewer
MOST_SERIES = 4_096  # routes, methods and statuses are few: it only bounds what is looked up once

requests_total = Counter("http_requests_total", "Requests by method, status, route.", ["method", "status", "handler"])
request_bytes = Summary("http_request_size_bytes", "Content length of requests by route; 0 where none.", ["handler"])
response_bytes = Summary("http_response_size_bytes", "Content length of answers by route; 0 where none.", ["handler"])
all_seconds = Histogram(
    "http_request_duration_highr_seconds", "Latency of all routes together, in many buckets.", buckets=LATENCY_SECONDS
)
route_seconds = Histogram(
    "http_request_duration_seconds",
    "Latency by route, in few buckets.",
    ["method", "handler"],
    buckets=LATENCY_BY_ROUTE_SECONDS,
)


class _Series(NamedTuple):
    requests: Counter
    received: Summary
    sent: Summary
    seconds: Histogram


@lru_cache(MOST_SERIES)
def _series(method: str, status: str, route: str) -> _Series:
    return _Series(
        requests_total.labels(method, status, route),
        request_bytes.labels(route),
        response_bytes.labels(route),
        route_seconds.labels(method, route),
    )


def count_request(
    *, method: str, status: int | str, route: str, seconds: float, received_bytes: int, sent_bytes: int
) -> None:
    """Count one answered request; ``route`` is its template."""
    series = _series(method, str(status), route)
    series.requests.inc()
    series.received.observe(received_bytes)
    series.sent.observe(sent_bytes)
    all_seconds.observe(seconds)
    series.seconds.observe(seconds)


def count_info(info: Info) -> None:
    """Count one request as the instrumentator describes it."""
    sent = info.response.headers.get("content-length", 0) if info.response is not None else 0
    count_request(
        method=info.method,
        status=info.modified_status,
        route=info.modified_handler,
        seconds=info.modified_duration,
        received_bytes=int(info.request.headers.get("content-length", 0)),
        sent_bytes=int(sent),
    )
