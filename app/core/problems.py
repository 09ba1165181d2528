"""Errors become HTTP here and nowhere else: one problem document (RFC 9457) per error class.

A feature registers its own errors where it defines them::

    @problem(HTTPStatus.NOT_FOUND, "forecast-not-found", example="no forecast 7c9e… of yours")
    class ForecastNotFoundError(ClosecastError):
        '''No such forecast is yours: list them at /predictions.'''
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

from data_pipeline.errors import ClosecastError

MEDIA_TYPE = "application/problem+json"
NAME_LIMIT = 100  # a name inside a location may be the client's own text: repeated, but not without bound


@dataclass(frozen=True)
class Problem:
    """How one class of error looks over HTTP.

    Attributes
    ----------
    slug : the stable name in ``type``; ``/problems/{slug}`` explains it.
    explanation : what the caller can do about it.
    example : a ``detail`` as it may really read, shown in OpenAPI.
    members : attributes of the error that the document repeats as members of its own.
    """

    status: HTTPStatus
    slug: str
    explanation: str
    example: str
    members: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The slug, readable."""
        return self.slug.replace("-", " ").capitalize()

    def document(self, detail: str, **members: Any) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": detail,
            **members,
        }


PROBLEMS: dict[type[ClosecastError], Problem] = {}
ErrorClass = TypeVar("ErrorClass", bound=type[ClosecastError])


def problem(
    status: HTTPStatus, slug: str, *, example: str, members: tuple[str, ...] = ()
) -> Callable[[ErrorClass], ErrorClass]:
    """Class decorator: say how this error looks over HTTP; its docstring is the explanation."""

    def register(error_class: ErrorClass) -> ErrorClass:
        explanation = " ".join((error_class.__doc__ or "").split())
        PROBLEMS[error_class] = Problem(status, slug, explanation, example, members)
        return error_class

    return register


INTERNAL = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal",
    "Something failed on our side and was logged: repeat later, and quote the request id if it stays.",
    "something failed on our side; it was logged",
)
INVALID_REQUEST = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid-request",
    "The request does not fit the OpenAPI document: `errors` names each place.",
    "1 place is not as documented",
)
NOT_FOUND = Problem(
    HTTPStatus.NOT_FOUND, "not-found", "No route has this path: see /docs.", "no route has this path, see /docs"
)
METHOD_NOT_ALLOWED = Problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "The route exists, the method does not: `Allow` lists those that do.",
    "use one of the methods in Allow",
)
METHOD_UNKNOWN = Problem(
    HTTPStatus.NOT_IMPLEMENTED,
    "method-unknown",
    "HTTP has no such method as far as this service knows.",
    "HTTP has no such method as far as this service knows",
)
MALFORMED_BODY = Problem(
    HTTPStatus.BAD_REQUEST,
    "malformed-request",
    "The request cannot be read at all: check its headers, and the body's encoding and Content-Type.",
    "the body cannot be read",
)
UNSUPPORTED_BODY = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported-body",
    "A body is JSON with `Content-Type: application/json`, as it is: not compressed, and not called anything else.",
    "the body came without a Content-Type, application/json is wanted",
)
BODY_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body-too-large",
    "The body is longer than this service reads: split it.",
    "a body may have 262144 bytes",
)
HEADERS_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers-too-large",
    "Path, query and headers together are longer than this service reads: send less of them.",
    "request line and headers may have 16384 bytes in 100 lines",
)
# What needs no error class of ours: the framework, or a middleware, finds it.
FOUND_ON_THE_WAY_IN: dict[int, Problem] = {
    kind.status: kind
    for kind in (
        MALFORMED_BODY,
        UNSUPPORTED_BODY,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        METHOD_UNKNOWN,
        BODY_TOO_LARGE,
        HEADERS_TOO_LARGE,
        INVALID_REQUEST,
        INTERNAL,
    )
}


def problem_of(error: ClosecastError) -> Problem:
    """How ``error`` looks: as its class says, else the nearest class above it, else as a failure of ours."""
    return next((PROBLEMS[above] for above in type(error).__mro__ if above in PROBLEMS), INTERNAL)


def problem_by_slug(slug: str) -> Problem | None:
    """The problem that ``/problems/{slug}`` explains."""
    return next((kind for kind in (*PROBLEMS.values(), *FOUND_ON_THE_WAY_IN.values()) if kind.slug == slug), None)


def document_of(error: ClosecastError) -> dict[str, Any]:
    """The problem document of one error; a failure of ours keeps its message to the log."""
    kind = problem_of(error)
    detail = kind.example if kind.status == HTTPStatus.INTERNAL_SERVER_ERROR else str(error)
    return kind.document(detail, **{name: getattr(error, name) for name in kind.members})


def invalid_place(location: Sequence[str | int], message: str, rule: str) -> dict[str, Any]:
    """One entry of ``errors``: where, in words, which rule; never the value, which may be a secret."""
    bounded = [part[:NAME_LIMIT] if isinstance(part, str) else part for part in location]
    return {"location": bounded, "message": message, "type": rule}


def invalid_request(places: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The problem document of a request that does not fit the OpenAPI document in these places."""
    noun = "place is" if len(places) == 1 else "places are"
    return INVALID_REQUEST.document(f"{len(places)} {noun} not as documented", errors=places)


def headers_of(error: ClosecastError) -> dict[str, str]:
    """``Retry-After`` and ``WWW-Authenticate``, for errors that carry what goes into them."""
    headers = {}
    if (seconds := getattr(error, "retry_after_seconds", None)) is not None:
        headers["Retry-After"] = str(max(1, ceil(seconds)))
    if (challenge := getattr(error, "challenge", None)) is not None:
        headers["WWW-Authenticate"] = challenge
    return headers


class ProblemResponse(JSONResponse):
    """May repeat a client's own text: what UTF-8 cannot spell, half of a surrogate pair, becomes ``?``."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def problem_response(
    request: Request, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The document with its media type and the id under which the request was logged."""
    request_id = getattr(request.state, "request_id", None)
    body = dict(document) if request_id is None else {**document, "request_id": request_id}
    return ProblemResponse(body, status_code=document["status"], media_type=MEDIA_TYPE, headers=headers)
