"""The short way to an answer that is at hand: in front of FastAPI's routing and validation, never in place of it.

FastAPI's own way from a request to its answer costs several times what a prepared answer needs. So a GET that it has
read and answered before, spelled the same to the byte, is not read again. Who may ask, how much, what is logged and
counted, and what is answered are the functions that the endpoint uses; whatever is not at hand goes to the endpoint.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any, NamedTuple

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.bounded_cache import BoundedCache
from app.core.error_handlers import answer_project_error
from app.core.etags import json_or_not_modified
from app.core.monitoring.request_meter import count_request
from app.core.security import Principal
from app.features.stock_prediction.prepared import PreparedAnswer
from app.features.stock_prediction.service import ForecastDesk, Question
from data_pipeline.errors import ClosecastError

REMEMBERED_SPELLINGS = 10_000
LONGEST_SPELLING = 200  # bytes; `days_ahead=005&&&…` is valid too, as long as heads may be
HAS_A_BODY = (b"content-length", b"transfer-encoding")
HOLDS = (b"if-none-match",)


class Asked(NamedTuple):
    """What one spelling of a path and a query asks for; ``logged_as`` is the route's name in the prediction log."""

    ticker: str
    days_ahead: int
    logged_as: str
    route: Any  # as FastAPI leaves it in the scope; its `path` is the template


class Spellings:
    """Paths and queries that FastAPI has read and found valid, and what they ask for; one per process.

    Those that name a past day are left out: whether they are valid depends on the date.
    """

    def __init__(self) -> None:
        self._read: BoundedCache[tuple[str, bytes], Asked] = BoundedCache(REMEMBERED_SPELLINGS)

    def note(self, scope: Scope, question: Question) -> None:
        """Remember what was read, where it is short."""
        length = len(scope["path"]) + len(scope["query_string"])
        if question.as_of is None and length <= LONGEST_SPELLING:
            asked = Asked(question.ticker, question.days_ahead, question.route, scope["route"])
            self._read.put((scope["path"], scope["query_string"]), asked)

    def find(self, scope: Scope) -> Asked | None:
        """What a request without a body asks for, where it was read before."""
        asked = self._read.get((scope["path"], scope["query_string"]))
        return None if asked is None or _header(scope, HAS_A_BODY) is not None else asked


class WarmRoute:
    """ASGI middleware that answers what is at hand.

    Parameters
    ----------
    admit : who asks, within all limits; the same that the endpoint depends on.
    """

    def __init__(self, app: ASGIApp, *, admit: Callable[[Request], Awaitable[Principal]]) -> None:
        self.app = app
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, now = perf_counter(), datetime.now(UTC)
        found = _at_hand(scope, now)
        if found is None:
            await self.app(scope, receive, send)
            return
        asked, desk, prepared = found
        scope["route"] = asked.route
        request = Request(scope)
        response: Response | None = None
        try:
            user = await self._admit(request)
            body = await desk.send(prepared, _question(scope, asked, user), started, now)
            response = _response(scope, prepared, body)
        except ClosecastError as error:
            response = await answer_project_error(request, error)
        finally:
            count_request(
                method="GET",
                status=HTTPStatus.INTERNAL_SERVER_ERROR.value if response is None else response.status_code,
                route=asked.route.path,
                seconds=perf_counter() - started,
                received_bytes=0,
                sent_bytes=0 if response is None else len(response.body),
            )
        await response(scope, receive, send)


class PreparedResponse(Response):
    """A prepared answer with the headers that were prepared with it."""

    def __init__(self, prepared: PreparedAnswer, body: bytes) -> None:
        self.status_code, self.background, self.body = HTTPStatus.OK.value, None, body
        self.raw_headers = [*prepared.headers, (b"content-length", b"%d" % len(body))]


def _at_hand(scope: Scope, now: datetime) -> tuple[Asked, ForecastDesk, PreparedAnswer] | None:
    """What a request asks for and its answer, where nobody has to be asked for either."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    state = scope["app"].state
    spellings: Spellings = state.spellings
    asked = spellings.find(scope)
    if asked is None:
        return None
    desk: ForecastDesk = state.forecast_desk
    prepared = desk.at_hand(asked.ticker, asked.days_ahead, now)
    return None if prepared is None else (asked, desk, prepared)


def _header(scope: Scope, names: tuple[bytes, ...]) -> bytes | None:
    """The first header of one of these names."""
    for name, value in scope["headers"]:
        if name in names:
            return bytes(value)
    return None


def _question(scope: Scope, asked: Asked, user: Principal) -> Question:
    return Question(
        ticker=asked.ticker,
        days_ahead=asked.days_ahead,
        as_of=None,
        user_id=user.user_id,
        api_key_id=user.api_key_id,
        route=asked.logged_as,
        request_id=scope["state"]["request_id"],
    )


def _response(scope: Scope, prepared: PreparedAnswer, body: bytes) -> Response:
    held = _header(scope, HOLDS)
    if held is None:
        return PreparedResponse(prepared, body)
    return json_or_not_modified(body, prepared.etag, held.decode("latin-1"))
