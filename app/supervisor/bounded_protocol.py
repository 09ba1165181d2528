"""HTTP as uvicorn speaks it, with bounds that its fast parser lacks: how long a request may be on its way, how much
of a head may wait unparsed. A reverse proxy has them too; the API does not rely on there being one."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.core.monitoring.requests import SAFE_HEADERS
from app.core.problems import HEADERS_TOO_LARGE, MALFORMED_BODY, MEDIA_TYPE, Problem

ARRIVAL_SECONDS = 20.0  # for a whole request, its body included
MOST_UNPARSED_BYTES = 524_288  # twice what is read at once; a head that arrives whole is the middleware's to judge


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose request does not arrive; a request that comes in one piece costs it nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_is_open = False
        self._arrived = False
        self._unparsed_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._arrived and not self.cycle.response_complete:  # what follows an answer is no request yet: `\r\n`
            self._stop_clock()
            return
        if self._head_is_open:
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > MOST_UNPARSED_BYTES and not self.transport.is_closing():
                detail = f"request line and headers had {MOST_UNPARSED_BYTES} bytes and no end"
                self.transport.write(last_answer(HEADERS_TOO_LARGE, detail))
                self.transport.close()
        self._start_clock()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser cannot read, as every refusal is answered, and close."""
        self.transport.write(last_answer(MALFORMED_BODY, msg))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: who asks for another protocol is answered in this one, and could fill the log with it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_open, self._arrived, self._unparsed_bytes = True, False, 0

    def on_headers_complete(self) -> None:
        self._head_is_open = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arrived = True
        super().on_message_complete()

    def _start_clock(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(ARRIVAL_SECONDS, self._give_up)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def last_answer(kind: Problem, detail: str) -> bytes:
    """The whole answer to what never becomes a request; the connection ends with it."""
    body = json.dumps(kind.document(detail)).encode()
    head = (
        f"HTTP/1.1 {kind.status.value} {kind.status.phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.decode()}: {value.decode()}" for name, value in SAFE_HEADERS),
    )
    return "\r\n".join((*head, "", "")).encode() + body
