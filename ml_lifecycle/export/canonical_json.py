"""JSON as bundles hold it: one spelling for one content, nothing that another reader would take otherwise."""

import json
import math
from typing import Any

from ml_lifecycle.export.errors import BundleRefusedError


def canonical_json(content: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, shortest float spelling; NaN and infinities raise ``ValueError``."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def parse_json_object(content: bytes, *, name: str) -> dict[str, Any]:
    """One JSON object; refuses NaN, infinities, doubled keys, other encodings, deep nesting.

    Raises
    ------
    BundleRefusedError : names the file and what is wrong with it.
    """
    try:
        parsed = json.loads(
            content.decode(),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
        canonical_json(parsed)  # half of a surrogate pair parses, and cannot be written again
    except (ValueError, RecursionError) as error:  # errors of decoding, of JSON and of encoding are ValueErrors
        raise BundleRefusedError(f"{name} is no plain JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise BundleRefusedError(f"{name} holds a {type(parsed).__name__}, not an object")
    return parsed


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key occurs twice")
    return unique


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
