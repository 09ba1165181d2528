"""What takes spans in tests: OTLP over HTTP on a socket of its own, decoded by OpenTelemetry's own messages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ToldSpan:
    """One span as it came in; ids in hexadecimal, ``parent`` empty for the first of a trace, ``kind`` a number."""

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    failed: bool
    service: str
    seconds: float
    attributes: dict[str, Any]
    events: str


@dataclass
class Collector:
    """What was told so far; ``silent``: takes connections and answers nothing; ``status``: what it answers else."""

    port: int = 0
    silent: bool = False
    status: int = 200
    spans: list[ToldSpan] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    refused: int = 0
    asked: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """As the setting names it."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, name: str, number: int = 1, seconds: float = 20.0) -> list[ToldSpan]:
        """The spans of that name, at least so many."""
        deadline = monotonic() + seconds
        while len(found := [span for span in self.spans if span.name == name]) < number:
            assert monotonic() < deadline, (name, sorted({span.name for span in self.spans}))
            sleep(0.02)
        return found

    def wait_until_refused(self, number: int) -> None:
        """Return when so many batches have been refused."""
        deadline = monotonic() + 20
        while self.refused < number:
            assert monotonic() < deadline
            sleep(0.01)

    def wait_until_asked(self) -> None:
        """Return when a batch has come, whatever becomes of it."""
        assert self.asked.wait(120)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine, until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.asked.set()
            if collector.silent:
                collector.over.wait(120)
                return
            if collector.status == 200:
                collector.paths.append(self.path)
                collector.spans += _decoded(body)
            else:
                collector.refused += 1
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_what: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _decoded(body: bytes) -> list[ToldSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        ToldSpan(
            trace=span.trace_id.hex(),
            span=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            name=span.name,
            kind=span.kind,
            failed=span.status.code == 2,
            service=_plain(resource.resource.attributes)["service.name"],
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            attributes=_plain(span.attributes),
            events="".join(map(str, span.events)),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(attributes: Any) -> dict[str, Any]:
    found = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        found[attribute.key] = None if kind is None else getattr(attribute.value, kind)
    return found
