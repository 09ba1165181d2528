"""The document says everything that a client needs: where, who, what goes in, what comes out, what can go wrong."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from app.config import Settings
from app.core.openapi import operations
from app.main import create_app
from app.schemas.json_body import JsonBody

OPEN_TO_ALL = {
    "about",
    "livez",
    "readyz",
    "health",
    "explain_problem",
    "prometheus",
    "register",
    "sign_in",
    "refresh",
    "sign_out",
}
STABLE_IDS = OPEN_TO_ALL | {"read_me", "change_password", "delete_me", "list_users", "patch_user"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document; nothing needs to be started for it."""
    secret = SecretStr("a-test-key-of-3f9c1e77b2d04a68-characters")
    return create_app(Settings(_env_file=None, jwt_secret=secret, log_level="ERROR")).openapi()


def by_id(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Operations by their ids."""
    return {operation["operationId"]: operation for operation in operations(document)}


def test_operation_ids_are_unique_and_those_that_clients_were_generated_from(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]

    assert len(ids) == len(set(ids))
    assert set(ids) >= STABLE_IDS


def test_no_two_schemas_have_one_name(document: dict[str, Any]) -> None:
    """FastAPI tells them apart by their modules' paths; generators of clients refuse the second."""
    assert [name for name in document["components"]["schemas"] if "__" in name] == []


def test_both_places_of_the_routes_are_servers_and_no_route_is_written_twice(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/", "/api/v1"]
    assert not [
        path for path in document["paths"] if path.startswith("/api/v1") or (path != "/" and path.endswith("/"))
    ]


def test_everything_but_these_needs_a_token(document: dict[str, Any]) -> None:
    """A new route is closed, unless it is added here on purpose."""
    assert {name for name, operation in by_id(document).items() if "security" not in operation} == OPEN_TO_ALL


def test_authorize_gets_its_token_by_the_password_form(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["password"]

    assert scheme["type"] == "oauth2"
    assert scheme["flows"]["password"]["tokenUrl"] == "/auth/token"
    assert set(scheme["flows"]["password"]["scopes"]) == {"predict", "train", "admin"}
    body = by_id(document)["sign_in"]["requestBody"]["content"]
    assert list(body) == ["application/x-www-form-urlencoded"]


def test_a_key_has_a_header_of_its_own_and_opens_what_a_token_opens(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["api_key"]

    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
    for name, operation in by_id(document).items():
        assert len(operation.get("security", [])) in {0, 2}, name


def test_every_failure_is_documented_as_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in by_id(document).items():
        failures = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert "500" in failures, name
        assert ("security" in operation) <= {"401", "503"}.issubset(failures), name
        assert ("requestBody" in operation) <= {"400", "413", "422"}.issubset(failures), name
        for status, answer in failures.items():
            (media_type,) = answer["content"]
            assert media_type == "application/problem+json", (name, status)
            examples = answer["content"][media_type]["examples"]
            assert examples, (name, status)
            for slug, example in examples.items():
                assert example["value"]["type"] == f"/problems/{slug}"
                assert example["value"]["status"] == int(status)


def test_the_framework_s_own_shape_of_errors_is_nowhere(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(document)


def test_unknown_fields_are_refused_in_every_body(document: dict[str, Any]) -> None:
    for name, operation in by_id(document).items():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for schema in object_schemas(document, content["schema"]):
                assert schema.get("additionalProperties") is False, (name, schema.get("title"))


def test_no_body_takes_a_value_of_another_type_for_the_documented_one(document: dict[str, Any]) -> None:
    strict = {body.__name__ for body in subclasses(JsonBody)}
    bodies = {
        content["schema"]["$ref"].split("/")[-1]
        for operation in operations(document)
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
        if media_type == "application/json"
    }

    assert bodies
    assert bodies <= strict


def subclasses(body: type[JsonBody]) -> Iterator[type[JsonBody]]:
    """Every class below a class."""
    for each in body.__subclasses__():
        yield each
        yield from subclasses(each)


def test_no_route_takes_a_list_in_its_query(document: dict[str, Any]) -> None:
    """A key that is given twice is refused before any route is asked."""
    assert [
        (name, parameter["name"])
        for name, operation in by_id(document).items()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and "'array'" in str(parameter["schema"])
    ] == []


def object_schemas(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects that a body may be."""
    if "$ref" in schema:
        return object_schemas(document, resolved(document, schema))
    if "anyOf" in schema:
        return [inner for choice in schema["anyOf"] for inner in object_schemas(document, choice)]
    return [schema] if schema.get("type") == "object" else []


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where only its name is given."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return found


def has_example(document: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether there is an example beside a schema or in it."""
    return bool({"example", "examples"} & (set(content) | set(resolved(document, content.get("schema", {})))))


def test_every_operation_can_be_tried_as_it_is_shown(document: dict[str, Any]) -> None:
    """Each body, each required parameter and each success has an example."""
    missing = [
        (name, what)
        for name, operation in by_id(document).items()
        for what, shown in shown_parts(operation)
        if not has_example(document, shown)
    ]

    assert missing == []


def shown_parts(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What of an operation somebody who tries it needs to see filled in."""
    for parameter in operation.get("parameters", []):
        if parameter["required"]:
            yield parameter["name"], parameter
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if status < "400" and media_type != "text/html":
                yield media_type, content


def test_the_shown_answers_are_as_documented(document: dict[str, Any]) -> None:
    """Else they are of another time: ``python -m tests.app.record_answers`` records them anew."""
    checked = 0
    for name, operation in by_id(document).items():
        success = next(answer for status, answer in operation["responses"].items() if status < "300")
        for content in success.get("content", {}).values():
            if "example" in content and "$ref" in str(content["schema"]):
                errors = Draft202012Validator(document | content["schema"]).iter_errors(content["example"])
                assert [error.message for error in errors] == [], name
                checked += 1

    assert checked >= 16


async def test_the_shown_bodies_are_taken(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    """The examples of registering and signing in work one after the other."""
    operations_by_id = by_id(document)

    registered = await client.post("/auth/register", json=body_example(document, operations_by_id["register"]))
    signed_in = await client.post("/auth/token", data=body_example(document, operations_by_id["sign_in"]))

    assert (registered.status_code, signed_in.status_code) == (201, 200)


def body_example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """The first example of an operation's body."""
    (content,) = operation["requestBody"]["content"].values()
    schema = resolved(document, content["schema"])
    return schema["example"] if "example" in schema else schema["examples"][0]


async def test_the_document_is_served_under_both_roots(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path in ("/openapi.json", "/api/v1/openapi.json"):
        assert (await client.get(path)).json() == app.openapi()
