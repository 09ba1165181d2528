"""The server: a proxy that answers the CONNECT to any of Yahoo's hosts itself, under a certificate of its own."""

import ssl
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme

from data_pipeline.sources.yahoo_session import HOSTS, YahooSession
from tests.fake_yahoo.answers import HTML_TYPE, NOT_FOUND, Answer
from tests.fake_yahoo.listing import Listing

EVERYTHING = "*"
COOKIE = "fc.yahoo.com"
CRUMB = "/v1/test/getcrumb"
CHART = "/v8/finance/chart/"

_COOKIE_ANSWER = Answer(
    404,
    b"",
    HTML_TYPE,
    {"set-cookie": "A3=d=EXAMPLE&S=EXAMPLE; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure; HttpOnly"},
)
_CRUMB_ANSWER = Answer(200, b"abcDEF12345", "text/plain;charset=utf-8")
_NO_CONSENT = Answer(200, b"<html><body>no consent asked here</body></html>", HTML_TYPE)


@dataclass(frozen=True)
class SeenRequest:
    """One request as it arrived; ``about`` is ``zone`` or ``prices`` for the chart of a symbol, else its path."""

    host: str
    path: str
    query: dict[str, str]

    @property
    def symbol(self) -> str | None:
        """The symbol whose chart is asked for."""
        return unquote(self.path.removeprefix(CHART)) if self.path.startswith(CHART) else None

    @property
    def about(self) -> str:
        """What is asked for."""
        if self.symbol is None:
            return self.host if self.host == COOKIE else self.path
        return "prices" if "period1" in self.query else "zone"


class FakeYahoo:
    """A Yahoo with listings and a script; use it as a context manager.

    ``listings`` maps symbols to what there is to tell; any other symbol is unknown. ``say`` and ``always_say`` put
    other answers in place: for everything (``EVERYTHING``), a symbol (``AAPL``), a symbol's ``AAPL/zone`` or
    ``AAPL/prices``, the cookie (``COOKIE``) or a path (``CRUMB``).
    """

    def __init__(self, folder: Path) -> None:
        self.listings: dict[str, Listing] = {}
        self.requests: list[SeenRequest] = []
        self.hosts: set[str] = set()  # of all connections, whether anything was asked there or not
        self._once: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._always: dict[str, Answer] = {}
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.authority = folder / "fake-yahoo-authority.pem"
        self.tls = _server_context(self.authority)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-yahoo")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def proxy(self) -> str:
        """Address of the proxy that leads here."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """Variables that lead yfinance in another process here, without any change to its code."""
        return {
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "CURL_CA_BUNDLE": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
        }

    def session(self) -> YahooSession:
        """A session of our own code that leads here."""
        session = YahooSession()
        session.proxies = {"https": self.proxy}
        session.verify = str(self.authority)
        return session

    def say(self, key: str, *answers: Answer) -> None:
        """Answer the next requests about ``key`` so, one answer each."""
        self._once[key].extend(answers)

    def always_say(self, key: str, answer: Answer) -> None:
        """Answer every request about ``key`` so."""
        self._always[key] = answer

    def asked(self, *about: str) -> list[SeenRequest]:
        """The requests so far, of these kinds only (``zone``, ``prices``, ``COOKIE``, ``CRUMB``); none named: all."""
        return [request for request in self.requests if not about or request.about in about]

    def answer(self, request: SeenRequest) -> Answer:
        """Note the request and choose its answer: script first, then listings."""
        with self._lock:
            self.requests.append(request)
            for key in (f"{request.symbol}/{request.about}", request.symbol, request.about, EVERYTHING):
                if key is not None and self._once[key]:
                    return self._once[key].popleft()
                if key in self._always:
                    return self._always[key]
        return self._usual(request)

    def _usual(self, request: SeenRequest) -> Answer:
        if request.host == COOKIE:
            return _COOKIE_ANSWER
        if request.path == CRUMB:
            return _CRUMB_ANSWER
        if request.symbol is not None:
            listing = self.listings.get(request.symbol)
            return listing.answer(request.query) if listing else NOT_FOUND
        return _NO_CONSENT


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, yahoo: FakeYahoo) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.yahoo = yahoo

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up (a deadline passed) is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart: the body would wait 40 ms for the receipt
    server: _Server
    host = ""

    def do_CONNECT(self) -> None:
        """Agree, then speak TLS on the same connection as the host that was asked for."""
        self.host = self.path.partition(":")[0]
        self.server.yahoo.hosts.add(self.host)
        self.send_response_only(200, "Connection established")
        self.end_headers()
        plain = self.connection
        self.connection = self.server.yahoo.tls.wrap_socket(plain, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_GET(self) -> None:
        """Answer as scripted."""
        target = urlsplit(self.path)
        request = SeenRequest(self.host, target.path, dict(parse_qsl(target.query)))
        self._send(self.server.yahoo.answer(request))

    def do_POST(self) -> None:
        """Consent forms: read and answered like a GET."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        self.server.yahoo.closing.wait(answer.delay_seconds)
        self.close_connection = answer.hangs_up or answer.cut_at is not None
        if answer.hangs_up:
            return
        self.send_response(answer.status)
        for name, value in {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.drip_seconds:
            for place in range(len(answer.body)):
                self.wfile.write(answer.body[place : place + 1])
                if self.server.yahoo.closing.wait(answer.drip_seconds):
                    break
        else:
            self.wfile.write(answer.body[: answer.cut_at])
        if answer.cut_at is not None:
            self.connection.unwrap()  # said to be the end: a connection that breaks is another matter

    def finish(self) -> None:
        """Close the TLS side as well, which socketserver does not know of."""
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Say nothing: ``FakeYahoo.requests`` tells."""


def _server_context(authority_file: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(authority_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*sorted(HOSTS)).configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context
