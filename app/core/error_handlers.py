"""What an exception that leaves an endpoint turns into."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from structlog.typing import FilteringBoundLogger

import app.core.inner_problems  # noqa: F401 (registers the inner packages' errors)
from app.core.problems import (
    FOUND_ON_THE_WAY_IN,
    NAME_LIMIT,
    UNSUPPORTED_BODY,
    Problem,
    document_of,
    headers_of,
    invalid_place,
    invalid_request,
    problem_of,
    problem_response,
)
from app.core.query import SingleKeysMiddleware
from data_pipeline.errors import ClosecastError

log: FilteringBoundLogger = structlog.get_logger()


def install_error_handlers(app: FastAPI) -> None:
    """Answer every foreseen error with a problem document; the unforeseen is the request middleware's."""
    app.add_exception_handler(ClosecastError, answer_project_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_middleware(SingleKeysMiddleware)  # what FastAPI does not refuse by itself


async def answer_project_error(request: Request, error: Exception) -> Response:
    """Render a project error; failures of ours and of what we depend on are logged."""
    assert isinstance(error, ClosecastError)  # noqa: S101 (the framework's signature is wider than what it is called with)
    kind = problem_of(error)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("problem", problem=kind.slug, error=type(error).__name__, detail=str(error))
    return problem_response(request, document_of(error), headers_of(error))


async def answer_invalid_request(request: Request, error: Exception) -> Response:
    """Name each place that does not fit the OpenAPI document, without repeating what was sent there."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 (as above)
    if isinstance(error.body, bytes) and error.body:  # FastAPI did not try to read it as JSON
        called = request.headers.get("content-type")
        came = f"as {called[:NAME_LIMIT]}" if called else "without a Content-Type"
        return problem_response(request, UNSUPPORTED_BODY.document(f"the body came {came}, application/json is wanted"))
    places = [invalid_place(found["loc"], message_of(found), found["type"]) for found in error.errors()]
    return problem_response(request, invalid_request(places))


def message_of(found: Any) -> str:
    """What a rule says; pydantic puts "Value error, " before the words of a rule of ours."""
    return str(found["ctx"]["error"] if found["type"] == "value_error" else found["msg"])


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Render what the framework itself refuses: unknown route, wrong method, unreadable body."""
    assert isinstance(error, HTTPException)  # noqa: S101 (as above)
    kind = FOUND_ON_THE_WAY_IN.get(error.status_code) or _plain_problem(error.status_code)
    return problem_response(request, kind.document(kind.example), error.headers)


def _plain_problem(status_code: int) -> Problem:
    """A status for which this project has no words of its own."""
    status = HTTPStatus(status_code)
    return Problem(status, status.phrase.lower().replace(" ", "-"), status.description, status.phrase)
