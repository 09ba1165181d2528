"""Requests by route: how many, how long, how large. The instrumentator's own figures, counted for less.

Names, labels and meanings are those of ``prometheus_fastapi_instrumentator.metrics.default``. Its function looks every
label up anew and writes every figure; here a request is one entry in its route's tally, since the short way to a warm
forecast pays for it each time.
"""

from functools import lru_cache

from prometheus_client import Counter
from prometheus_fastapi_instrumentator.metrics import Info

from app.core.monitoring.tallies import Observations, SummedHistogram, SummedSummary, note_changed, write_tallies

# A warm forecast takes a few milliseconds, an unseen ticker up to eight seconds: both must be told apart.
LATENCY_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENCY_BY_ROUTE_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)  # once per route and method: some of them
MOST_SERIES = 4_096  # routes, methods and statuses are few: it only bounds what is looked up once

requests_total = Counter("http_requests_total", "Requests by method, status, route.", ["method", "status", "handler"])
request_bytes = SummedSummary(
    "http_request_size_bytes", "Content length of requests by route; 0 where none.", ["handler"]
)
response_bytes = SummedSummary(
    "http_response_size_bytes", "Content length of answers by route; 0 where none.", ["handler"]
)
all_seconds = SummedHistogram(
    "http_request_duration_highr_seconds", "Latency of all routes together, in many buckets.", buckets=LATENCY_SECONDS
)
route_seconds = SummedHistogram(
    "http_request_duration_seconds",
    "Latency by route, in few buckets.",
    ["method", "handler"],
    buckets=LATENCY_BY_ROUTE_SECONDS,
)


class _Tally:
    """Requests of one method, status and route that are not written yet."""

    def __init__(self, method: str, status: str, route: str) -> None:
        self.received_bytes = self.sent_bytes = 0
        self.seconds = Observations(LATENCY_SECONDS)
        self._requests = requests_total.labels(method, status, route)
        self._request_bytes = request_bytes.labels(route)
        self._response_bytes = response_bytes.labels(route)
        self._route_seconds = route_seconds.labels(method, route)

    def write(self) -> None:
        """Add them to the figures."""
        seconds = self.seconds
        self._requests.inc(seconds.number)
        self._request_bytes.add(seconds.number, self.received_bytes)
        self._response_bytes.add(seconds.number, self.sent_bytes)
        all_seconds.add(seconds.counts, seconds.total)
        self._route_seconds.add(seconds.counts_by(LATENCY_BY_ROUTE_SECONDS), seconds.total)
        self.received_bytes = self.sent_bytes = 0
        seconds.clear()


_tally = lru_cache(MOST_SERIES)(_Tally)


def count_request(
    *, method: str, status: int | str, route: str, seconds: float, received_bytes: int, sent_bytes: int
) -> None:
    """Count one answered request; ``route`` is its template. The figures know it a moment later."""
    tally = _tally(method, str(status), route)
    if not tally.seconds.number:
        note_changed(tally)
    tally.received_bytes += received_bytes
    tally.sent_bytes += sent_bytes
    tally.seconds.add(seconds)


def count_info(info: Info) -> None:
    """Count one request as the instrumentator describes it; the figures know it at once."""
    sent = info.response.headers.get("content-length", 0) if info.response is not None else 0
    count_request(
        method=info.method,
        status=info.modified_status,
        route=info.modified_handler,
        seconds=info.modified_duration,
        received_bytes=int(info.request.headers.get("content-length", 0)),
        sent_bytes=int(sent),
    )
    write_tallies()
