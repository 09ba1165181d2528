"""No body is read beyond a limit, whatever its length claims to be."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.problems import BODY_TOO_LARGE, problem_response


class BodyLimitMiddleware:
    """Answers 413 where a body is longer than ``limit_bytes``."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = headers.get("content-length")
        if declared is not None:
            # The server holds a sender to the length that it declared, so nothing needs counting.
            too_long = not declared.isdecimal() or int(declared) > self.limit_bytes
        elif "transfer-encoding" in headers:
            messages = await self._read(receive)
            too_long, receive = messages is None, _replay(messages or [], receive)
        else:
            too_long = False
        if too_long:
            document = BODY_TOO_LARGE.document(f"a body may have {self.limit_bytes} bytes")
            await problem_response(Request(scope), document, {"Connection": "close"})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """A body of undeclared length, whole; None when it is too long."""
        messages, length = [], 0
        while True:
            message = await receive()
            messages.append(message)
            length += len(message.get("body", b""))
            if length > self.limit_bytes:
                return None
            if not message.get("more_body", False):
                return messages


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """A ``receive`` that gives ``messages`` first."""
    waiting = iter(messages)

    async def replayed() -> Message:
        message = next(waiting, None)
        return message if message is not None else await receive()

    return replayed
