"""Answers that a client may keep, and need not be sent twice (RFC 9110, 8.8.3 and 13.1.2)."""

from hashlib import blake2b
from http import HTTPStatus

from starlette.responses import Response

KEEP = "private, no-cache"  # for one user, and asked about each time


def etag_of(*parts: bytes) -> str:
    """A weak tag of what an answer says; weak, because the same may be said with another latency."""
    digest = blake2b(digest_size=15)
    for part in parts:
        digest.update(part)
    return f'W/"{digest.hexdigest()}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether a client that sent this ``If-None-Match`` holds the answer; weak comparison, as that header asks for.

    >>> is_known('W/"a"', '"b", "a"'), is_known('W/"a"', "*"), is_known('W/"a"', 'W/"b"'), is_known('W/"a"', None)
    (True, True, False, False)
    """
    if not if_none_match:
        return False
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in held or etag.removeprefix("W/") in held


def json_or_not_modified(body: bytes, etag: str, if_none_match: str | None) -> Response:
    """``body``, or 304 for a client that holds it; with what lets it be kept."""
    headers = {"ETag": etag, "Cache-Control": KEEP, "Vary": "Authorization, X-API-Key"}
    if is_known(etag, if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
