"""No request line and no headers beyond a limit, and none of them that can be read in two ways.

What comes before the body costs memory and time too; and of two credentials, or two hosts, a proxy and this service
might each believe another one.
"""

from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.problems import HEADERS_TOO_LARGE, MALFORMED_BODY, problem_response

MOST_HEADERS = 100  # lines; browsers and proxies send some twenty
PUNCTUATION_BYTES = 4  # of a header line: ": " and the line's end
GIVEN_ONCE = frozenset(
    (b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"x-api-key")
)


class HeaderLimitMiddleware:
    """Answers 431 where path, query and headers have more than ``limit_bytes``, or the headers too many lines.

    And 400 where one of ``GIVEN_ONCE`` comes twice, or HTTP/1.1 without a host.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await problem_response(Request(scope), refusal, {"Connection": "close"})(scope, receive, send)

    def _refusal(self, scope: Scope) -> dict[str, Any] | None:
        """The problem, where there is one."""
        headers = scope["headers"]
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        once = []
        for name, value in headers:
            size += len(name) + len(value) + PUNCTUATION_BYTES
            if name in GIVEN_ONCE:
                once.append(name)
        if size > self.limit_bytes or len(headers) > MOST_HEADERS:
            return HEADERS_TOO_LARGE.document(
                f"request line and headers may have {self.limit_bytes} bytes in {MOST_HEADERS} lines"
            )
        if len(set(once)) < len(once):
            twice = next(name for name in once if once.count(name) > 1)
            return MALFORMED_BODY.document(f"the header {twice.decode()} came more than once")
        if b"host" not in once and scope["http_version"] == "1.1":
            return MALFORMED_BODY.document("HTTP/1.1 needs the header host")
        return None
