"""Requests by route: how many, how long, how large, and how they ended.

What is told by each route's template is told in few series: statuses by class, and a latency's sum. Its distribution is
told by group of routes, since a histogram for each of them would be most of what a process tells. A request is one
entry in its route's tally, because the short way to a warm forecast pays for it each time.
"""

from enum import StrEnum
from functools import lru_cache
from http import HTTPMethod

from prometheus_client import Counter
from prometheus_fastapi_instrumentator.metrics import Info

from app.core.monitoring.tallies import Observations, SummedHistogram, SummedSummary, note_changed, write_tallies

# A warm forecast takes a few milliseconds, an unseen ticker up to eight seconds: both must be told apart. One end is
# what the objective of latency promises (deploy/prometheus/recording.yml).
LATENCY_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
MOST_SERIES = 4_096  # routes, methods and statuses are few: it only bounds what is looked up once


class RouteGroup(StrEnum):
    """Routes that are as quick as each other, or of interest to the same people."""

    FORECAST = "forecast"
    SIGN_IN = "sign_in"
    READ = "read"
    CHANGE = "change"
    STREAM = "stream"  # answers that go on for as long as a job does
    PAGE = "page"
    SERVICE = "service"


FORECASTS = frozenset({"/predict", "/predict/{ticker:path}", "/predict/batch", "/infer"})
STREAMS = frozenset({"/train/{job_id}/events"})
SERVICE = frozenset(
    {"none", "/", "/livez", "/readyz", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/problems/{slug}"}
)

requests_total = Counter(
    "http_requests_total", "Requests by method, class of status, route.", ["method", "status", "handler"]
)
responses_total = Counter("http_responses_total", "Answers by exact status.", ["code"])
seconds_total = Counter("http_request_seconds_total", "Seconds that requests took, by route.", ["method", "handler"])
request_bytes = SummedSummary("http_request_size_bytes", "Content length of requests; 0 where none.")
response_bytes = SummedSummary("http_response_size_bytes", "Content length of answers; 0 where none.")
group_seconds = SummedHistogram(
    "http_request_duration_seconds", "Latency by group of routes.", ["group"], buckets=LATENCY_SECONDS
)

# A series that is there from the start can be alerted on.
for _group in RouteGroup:
    group_seconds.labels(_group)


def group_of(method: str, route: str) -> RouteGroup:
    """The group of a route's template.

    >>> group_of("GET", "/predict/{ticker:path}").value, group_of("GET", "/predictions").value
    ('forecast', 'read')
    """
    if route in FORECASTS:
        return RouteGroup.FORECAST
    if route in STREAMS:
        return RouteGroup.STREAM
    if route in SERVICE:
        return RouteGroup.SERVICE
    if route.startswith("/auth/"):
        return RouteGroup.SIGN_IN
    if route.startswith(("/pages", "/static")):
        return RouteGroup.PAGE
    return RouteGroup.READ if method in (HTTPMethod.GET, HTTPMethod.HEAD) else RouteGroup.CHANGE


class _Tally:
    """Requests of one method, status and route that are not written yet."""

    def __init__(self, method: str, status: str, route: str) -> None:
        self.received_bytes = self.sent_bytes = 0
        self.seconds = Observations(LATENCY_SECONDS)
        self._requests = requests_total.labels(method, f"{status[0]}xx", route)
        self._responses = responses_total.labels(status)
        self._route_seconds = seconds_total.labels(method, route)
        self._group_seconds = group_seconds.labels(group_of(method, route))

    def write(self) -> None:
        """Add them to the figures."""
        seconds = self.seconds
        self._requests.inc(seconds.number)
        self._responses.inc(seconds.number)
        request_bytes.add(seconds.number, self.received_bytes)
        response_bytes.add(seconds.number, self.sent_bytes)
        self._route_seconds.inc(seconds.total)
        self._group_seconds.add(seconds.counts, seconds.total)
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
