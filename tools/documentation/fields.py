"""JSON schemas in words: the type of a value, the fields of an object."""

from typing import Any, Final

BOUNDS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters or fewer",
    "minItems": "{} or more",
    "maxItems": "{} or fewer",
}


def words_of(text: str | None) -> str:
    """A description for a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")


def type_of(schema: dict[str, Any]) -> str:
    """What a value is, in one line; named schemas are linked.

    >>> type_of({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'integer (at least 1) or null'
    >>> type_of({"type": "array", "items": {"$ref": "#/components/schemas/StepRead"}})
    'list of [StepRead](schemas.md#stepread)'
    """
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](schemas.md#{name.lower()})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(type_of(each) for each in schema[choice])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    return _plain_type(schema) + _bounds(schema)


def _plain_type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any value")
    if kind == "array":
        if "prefixItems" in schema:
            return f"list of {', '.join(type_of(each) for each in schema['prefixItems'])}"
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    return f"{kind}, {schema['format']}" if "format" in schema else str(kind)


def _bounds(schema: dict[str, Any]) -> str:
    told = [words.format(schema[key]) for key, words in BOUNDS.items() if key in schema]
    return f" ({', '.join(told)})" if told else ""


def fields_of(schema: dict[str, Any]) -> str:
    """The fields of an object as a table."""
    required = schema.get("required", [])
    rows = []
    for name, field in schema["properties"].items():
        kind = type_of(field) + ("" if name in required else _default(field))
        rows.append(f"| `{name}` | {kind} | {words_of(field.get('description'))} |")
    return "\n".join(["| field | type | |", "|---|---|---|", *rows])


def _default(field: dict[str, Any]) -> str:
    if "const" in field:
        return ""
    default = field.get("default")
    return ", may be left out" if default is None or default == [] else f", `{default}` if left out"
