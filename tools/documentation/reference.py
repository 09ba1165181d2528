"""The API's reference as pages, written from the OpenAPI document."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from tools.documentation.fields import fields_of, type_of, words_of

EXAMPLES: Final = ("application/json", "application/x-www-form-urlencoded")
PROBLEM: Final = "application/problem+json"
WHO: Final = {(): "who signed in"}
Schemas = dict[str, Any]
Operation = tuple[str, str, dict[str, Any]]  # method, path, what the document says


def pages(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by the page's file name: one of each tag, one of all schemas, and one that lists the routes."""
    schemas = document["components"]["schemas"]
    tagged: dict[str, list[Operation]] = defaultdict(list)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tagged[operation["tags"][0]].append((method.upper(), path, operation))
    written = {file_of(tag): _tag_page(tag, operations, schemas) for tag, operations in tagged.items()}
    return {"README.md": _overview(document, tagged), **written, "schemas.md": _schemas_page(schemas)}


def file_of(tag: str) -> str:
    """The page of a tag."""
    return f"{tag.replace(' ', '-')}.md"


def _overview(document: dict[str, Any], tagged: dict[str, list[Operation]]) -> str:
    lines = [
        "# API reference",
        f"Every route of version {document['info']['version']}, written from the service's own OpenAPI document when "
        "this site was built. The same, to try out, at a running service: `/docs`, `/redoc`, `/openapi.json`. What the "
        "fields mean in words: [user guide](../user-guide.md). A Python client made from it: [client](../client.md).",
        "Each route stands at the root and under `/api/v1`.",
    ]
    for tag, operations in tagged.items():
        rows = [
            f"| [`{method} {path}`]({file_of(tag)}#{operation['operationId']}) | {words_of(operation.get('summary'))} |"
            for method, path, operation in operations
        ]
        lines += [f"## {tag.capitalize()}", "\n".join(["| route | |", "|---|---|", *rows])]
    return "\n\n".join(lines) + "\n"


def _tag_page(tag: str, operations: list[Operation], schemas: Schemas) -> str:
    parts = [part for operation in operations for part in _operation(*operation, schemas)]
    return "\n\n".join([f"# {tag.capitalize()}", *parts]) + "\n"


def _operation(method: str, path: str, operation: dict[str, Any], schemas: Schemas) -> Iterator[str]:
    yield f"## `{method} {path}` {{ #{operation['operationId']} }}"
    yield str(operation.get("description") or operation.get("summary"))
    yield f"For {_who(operation)}."
    if operation.get("parameters"):
        yield _parameters(operation["parameters"])
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from _content("Body", media_type, content, schemas)
    for status, response in sorted(operation["responses"].items()):
        for media_type, content in response.get("content", {}).items():
            if media_type != PROBLEM:
                yield from _content(status, media_type, content, schemas)
    yield _problems(operation["responses"])


def _problems(responses: dict[str, Any]) -> str:
    rows = [
        f"    | {status} | `{slug}` | {words_of(shown['summary'])} |"
        for status, response in sorted(responses.items())
        for slug, shown in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).items()
    ]
    return "\n".join(['??? failure "Problems"', "", "    | status | type | what to do |", "    |---|---|---|", *rows])


def _who(operation: dict[str, Any]) -> str:
    if "security" not in operation:
        return "everybody"
    scopes = tuple(operation["security"][0]["password"])
    return WHO.get(scopes) or " and ".join(f"accounts with scope `{scope}`" for scope in scopes)


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = [
        f"| `{each['name']}` | {each['in']} | {type_of(each['schema'])}{', required' if each.get('required') else ''} "
        f"| {words_of(each.get('description') or each['schema'].get('description'))} |"
        for each in parameters
    ]
    return "\n".join(["| parameter | in | type | |", "|---|---|---|---|", *rows])


def _content(title: str, media_type: str, content: dict[str, Any], schemas: Schemas) -> Iterator[str]:
    schema = content.get("schema", {})
    yield f"**{title}**, `{media_type}`: {type_of(schema)}"
    if media_type not in EXAMPLES:
        return
    named = schemas.get(schema.get("$ref", "").rsplit("/", 1)[-1], schema)
    shown = content.get("example", named.get("example", next(iter(named.get("examples", [])), None)))
    if shown is not None:
        text = json.dumps(shown, indent=2, ensure_ascii=False).splitlines()
        yield "\n".join(['??? example "Example"', "", "    ```json", *(f"    {line}" for line in text), "    ```"])


def _schemas_page(schemas: Schemas) -> str:
    parts = ["# Schemas", "What goes in and comes out, by name. The routes lead here."]
    for name, schema in sorted(schemas.items()):
        parts += [f"## {schema.get('title', name)} {{ #{name.lower()} }}", words_of(schema.get("description"))]
        parts += [fields_of(schema) if "properties" in schema else type_of(schema)]
    return "\n\n".join(part for part in parts if part) + "\n"
