"""No request line and no headers beyond a limit: what comes before the body costs memory and time too."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.problems import HEADERS_TOO_LARGE, problem_response

MOST_HEADERS = 100  # lines; browsers and proxies send some twenty
PUNCTUATION_BYTES = 4  # of a header line: ": " and the line's end


class HeaderLimitMiddleware:
    """Answers 431 where path, query and headers have more than ``limit_bytes``, or the headers too many lines."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_too_large(scope):
            document = HEADERS_TOO_LARGE.document(
                f"request line and headers may have {self.limit_bytes} bytes in {MOST_HEADERS} lines"
            )
            await problem_response(Request(scope), document, {"Connection": "close"})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_too_large(self, scope: Scope) -> bool:
        headers = scope["headers"]
        if len(headers) > MOST_HEADERS:
            return True
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        for name, value in headers:
            size += len(name) + len(value) + PUNCTUATION_BYTES
        return size > self.limit_bytes
