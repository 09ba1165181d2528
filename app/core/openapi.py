"""The OpenAPI document: what FastAPI writes, and the problem documents that it knows nothing of."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.core.database import DatabaseUnavailableError
from app.core.limits import TooManyRequestsError
from app.core.paths import API_PREFIX
from app.core.problems import (
    BODY_TOO_LARGE,
    HEADERS_TOO_LARGE,
    INTERNAL,
    INVALID_REQUEST,
    MALFORMED_BODY,
    MEDIA_TYPE,
    PROBLEMS,
    UNSUPPORTED_BODY,
    Problem,
)
from app.core.refusals import (
    ExpiredTokenError,
    InvalidApiKeyError,
    InvalidTokenError,
    MissingScopeError,
    NotAuthenticatedError,
    TwoCredentialsError,
)
from app.schemas.problem import ProblemDocument
from data_pipeline.errors import ClosecastError

# Answers about the sample bars as they were really given, by operation id (tests/app/record_answers.py).
RECORDED_ANSWERS = Path(__file__).with_name("openapi_answers.json")
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}
FASTAPI_OWN_SCHEMAS = ("HTTPValidationError", "ValidationError")  # of the 422 that ours replaces
EXAMPLE_ERRORS = {
    INVALID_REQUEST.slug: [
        {"location": ["body", "tickr"], "message": "Extra inputs are not permitted", "type": "extra_forbidden"}
    ]
}

# Of any operation that asks who is asking.
CREDENTIAL_PROBLEMS = (
    NotAuthenticatedError,
    TwoCredentialsError,
    InvalidTokenError,
    ExpiredTokenError,
    InvalidApiKeyError,
    TooManyRequestsError,
)

Responses = dict[int | str, dict[str, Any]]


def problem_responses(*errors: type[ClosecastError]) -> Responses:
    """What a route declares as its ``responses``: the project's errors that it can end in."""
    responses: Responses = {}
    for error in errors:
        add_problem(responses, PROBLEMS[error])
    return responses


def add_problem(responses: dict[Any, Any], kind: Problem) -> None:
    """Add one problem, with its example, to the responses of an operation."""
    # FastAPI's own keys are text once the document is written, numbers in a route's declaration.
    key: int | str = str(kind.status.value) if any(isinstance(status, str) for status in responses) else kind.status
    response = responses.setdefault(key, {"description": kind.status.phrase})
    content = response.setdefault("content", {}).setdefault(MEDIA_TYPE, {"schema": PROBLEM_SCHEMA, "examples": {}})
    example = kind.document(kind.example, request_id="5a3c0f3e9d0b4c6c8e6f4f0a9b7d2c1e")
    if kind.slug in EXAMPLE_ERRORS:
        example["errors"] = EXAMPLE_ERRORS[kind.slug]
    content["examples"][kind.slug] = {"summary": kind.explanation, "value": example}


def install_openapi(app: FastAPI) -> None:
    """Write the document when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = write_document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def write_document(app: FastAPI) -> dict[str, Any]:
    """The whole document; both places where the routes stand are its servers."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        license_info=app.license_info,
        servers=[
            {"url": "/", "description": "the short way"},
            {"url": API_PREFIX, "description": "the same routes, versioned"},
        ],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in FASTAPI_OWN_SCHEMAS:
        schemas.pop(name, None)
    schemas |= _problem_schemas()
    answers = json.loads(RECORDED_ANSWERS.read_text())
    for operation in operations(document):
        _declare_common_problems(operation)
        _show_answer(operation, answers)
    return document


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each operation of an OpenAPI document."""
    for path in document["paths"].values():
        yield from path.values()


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    inner: dict[str, Any] = schema.pop("$defs")
    return {**inner, "ProblemDocument": schema}


def _show_answer(operation: dict[str, Any], answers: dict[str, Any]) -> None:
    """Show what was once really answered. (FastAPI would drop each null from an example that a route gives itself.)"""
    if (answer := answers.get(operation["operationId"])) is not None:
        success = next(status for status in operation["responses"] if status.startswith("2"))
        operation["responses"][success]["content"]["application/json"]["example"] = answer


def _declare_common_problems(operation: dict[str, Any]) -> None:
    """What any operation of its kind can end in, and no route declares for itself."""
    responses = operation["responses"]
    responses.get(str(HTTPStatus.UNPROCESSABLE_ENTITY.value), {}).get("content", {}).pop("application/json", None)
    for kind in _common_problems(operation):
        add_problem(responses, kind)


def _common_problems(operation: dict[str, Any]) -> Iterator[Problem]:
    yield INVALID_REQUEST  # of any query that gives a key twice
    yield HEADERS_TOO_LARGE
    if "requestBody" in operation:
        yield MALFORMED_BODY
        yield BODY_TOO_LARGE
        yield UNSUPPORTED_BODY
    if "security" in operation:
        for error in CREDENTIAL_PROBLEMS:
            yield PROBLEMS[error]
        if any(scopes for requirement in operation["security"] for scopes in requirement.values()):
            yield PROBLEMS[MissingScopeError]
        yield PROBLEMS[DatabaseUnavailableError]
    yield INTERNAL
