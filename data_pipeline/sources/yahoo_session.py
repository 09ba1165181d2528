"""The HTTP session that yfinance sends through: it keeps one deadline, stays with Yahoo's hosts and notes what came."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from curl_cffi.requests import Response, Session

from data_pipeline.sources.yahoo_answer import YahooAnswer

HOSTS: Final = frozenset(
    f"{name}.yahoo.com" for name in ("query1.finance", "query2.finance", "fc", "guce", "consent", "finance")
)
CHART_PATH: Final = "/v8/finance/chart/"
# yfinance stores its cookies on disk after an answer from one of these.
COOKIE_HOST: Final = "fc.yahoo.com"
CONSENT_PATH: Final = "/copyConsent"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_AS_SENT: Final = frozenset({307, 308})  # the others turn into a GET, as browsers have it
_OF_A_BODY: Final = frozenset({"data", "json", "content", "files", "multipart"})
_MOST_REDIRECTS: Final = 10
_SHORTEST_TIMEOUT_SECONDS: Final = 0.001  # curl takes 0 for "no limit"


class DeadlinePassedError(Exception):
    """No time is left for one more request. Not an OSError: yfinance would take that for a hiccup and go on."""


class ForeignHostError(Exception):
    """yfinance wanted to ask a host that is none of Yahoo's."""


@dataclass
class Conversation:
    """What one attempt sent and got.

    Attributes
    ----------
    deadline : instant on ``time.monotonic`` after which no request begins and none goes on.
    requests_sent : all of them: cookie, crumb, zone, prices.
    chart : the last answer about the symbol's chart; None before the first.
    """

    deadline: float
    requests_sent: int = 0
    chart: YahooAnswer | None = field(default=None, repr=False)

    @property
    def remaining_seconds(self) -> float:
        """Time left; not below 0."""
        return max(0.0, self.deadline - time.monotonic())


class YahooSession(Session[Response]):
    """A curl_cffi session, impersonating a browser as yfinance's own does.

    yfinance passes its ``timeout`` to the price request only; the look-ups of zone, cookie and crumb have fixed ones of
    10 and 30 s. So the session puts what is left of the deadline in place of every timeout.
    """

    def __init__(self) -> None:
        super().__init__(impersonate="chrome")
        self._conversation: Conversation | None = None

    @contextmanager
    def converse(self, deadline: float) -> Iterator[Conversation]:
        """Send requests until ``deadline`` (on ``time.monotonic``); outside this context none is sent."""
        self._conversation = Conversation(deadline)
        try:
            yield self._conversation
        finally:
            self._conversation = None

    def request(self, method: Any, url: str, **options: Any) -> Response:  # type: ignore[override]  # options pass through by name
        """Send one request within the deadline.

        Raises
        ------
        DeadlinePassedError : no time is left.
        ForeignHostError : ``url``, or what it redirects to, is not on one of Yahoo's hosts.
        """
        conversation = self._conversation
        if conversation is None:
            raise DeadlinePassedError
        answer = self._follow(conversation, method, url, options)
        host, path = urlsplit(url).hostname, urlsplit(url).path
        if path.startswith(CHART_PATH):
            with_prices = "period1" in (options.get("params") or {})
            conversation.chart = YahooAnswer(
                answer.status_code, answer.text, with_prices, answer.headers.get("retry-after")
            )
        elif host == COOKIE_HOST or path.startswith(CONSENT_PATH):
            self._forget_cookies_without_a3()
        return answer

    def _follow(self, conversation: Conversation, method: str, url: str, options: dict[str, Any]) -> Response:
        """The answer, where Yahoo's redirects end; curl would follow one to any host."""
        answer = self._ask(conversation, method, url, options)
        for _ in range(_MOST_REDIRECTS):
            target = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or target is None:
                break
            if answer.status_code not in _REDIRECTS_AS_SENT:
                method, options = "GET", {name: options[name] for name in options if name not in _OF_A_BODY}
            url = urljoin(url, target)
            answer = self._ask(conversation, method, url, {**options, "params": None})  # they stand in the target
        return answer

    def _ask(self, conversation: Conversation, method: str, url: str, options: dict[str, Any]) -> Response:
        if not conversation.remaining_seconds:
            raise DeadlinePassedError
        address = urlsplit(url)
        if address.scheme != "https" or address.hostname not in HOSTS:
            raise ForeignHostError(address.hostname)
        conversation.requests_sent += 1
        in_time = {"timeout": max(_SHORTEST_TIMEOUT_SECONDS, conversation.remaining_seconds), "allow_redirects": False}
        return self._send(method, url, options | in_time)

    def _send(self, method: Any, url: str, options: dict[str, Any]) -> Response:
        return super().request(method, url, **options)

    def _forget_cookies_without_a3(self) -> None:
        # yfinance stores whatever cookie it got and then fails on every later call, in later processes too, when there
        # is no A3 with an end among them. Without any cookie it stores nothing and asks again.
        if "A3" not in {cookie.name for cookie in self.cookies.jar if cookie.expires}:
            self.cookies.clear()
