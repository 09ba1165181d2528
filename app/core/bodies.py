"""Nothing of a body is quietly left out: a key that is given twice is refused, in JSON and in forms."""

import json
from collections import Counter
from collections.abc import Iterable
from json import JSONDecodeError
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.problems import UNSUPPORTED_BODY, invalid_place, invalid_request, problem_response

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# curl and others call a body a form unless told otherwise. These routes take JSON only, and a token besides.
JSON_WHATEVER_IT_IS_CALLED = frozenset({"/predict", "/infer", "/predict/batch"})
REPEATED = "Input should be given once"


class SingleKeysInBodiesMiddleware:
    """Answers 422 where a parser would take the last of several values; what cannot be parsed is left to the route.

    A compressed body is a 415: nothing here would unpack it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if not _has_body(headers):
            await self.app(scope, receive, send)
            return
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            document = UNSUPPORTED_BODY.document("the body came with a Content-Encoding, none is wanted")
            await problem_response(Request(scope), document)(scope, receive, send)
            return
        messages, body = await _read(receive)
        if body is None:  # the client went away
            return
        _call_it_json(scope, body)
        repeated = await repeated_keys(Request(scope, _replay(messages)), body)
        app = self.app
        if repeated:
            places = [invalid_place(("body", key), REPEATED, "repeated_key") for key in repeated]
            app = problem_response(Request(scope), invalid_request(places))
        await app(scope, _replay(messages, receive), send)


async def repeated_keys(request: Request, body: bytes) -> list[str]:
    """Keys that a body gives more than once, at any depth."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in FORMS:
        try:
            async with request.form() as form:
                return _twice(key for key, _ in form.multi_items())
        except HTTPException:  # multipart that is none
            return []
    if content_type == "application/json" or content_type.endswith("+json"):
        return _repeated_in_json(body)
    return []


def _repeated_in_json(body: bytes) -> list[str]:
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs) and not found:  # one object is told, not two thousand
            found.extend(_twice(key for key, _ in pairs))

    try:
        json.loads(body, object_pairs_hook=note)
    except (JSONDecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return []
    return found


def _twice(keys: Iterable[str]) -> list[str]:
    return [key for key, times in Counter(keys).items() if times > 1]


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _call_it_json(scope: Scope, body: bytes) -> None:
    """Correct the type of JSON that was called a form and sent to where only JSON is taken."""
    if scope["path"] not in JSON_WHATEVER_IT_IS_CALLED or body.lstrip()[:1] not in (b"{", b"["):
        return
    headers = MutableHeaders(raw=list(scope["headers"]))
    if headers.get("content-type", FORMS[0]).partition(";")[0].strip().lower() == FORMS[0]:
        headers["content-type"] = "application/json"
        scope["headers"] = headers.raw


async def _read(receive: Receive) -> tuple[list[Message], bytes | None]:
    """The messages of a body, whose length was bounded before, and the body; None where the client went away."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] == "http.disconnect":
            return messages, None
        if not message.get("more_body", False):
            return messages, b"".join(each.get("body", b"") for each in messages)


def _replay(messages: list[Message], receive: Receive | None = None) -> Receive:
    """A ``receive`` that gives ``messages`` first."""
    waiting = iter(messages)

    async def replayed() -> Message:
        message = next(waiting, None)
        if message is not None:
            return message
        return {"type": "http.disconnect"} if receive is None else await receive()

    return replayed
