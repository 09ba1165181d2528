"""Keyset paging: a cursor names the last row seen, so pages neither skip nor repeat rows that come and go."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-cursor", example="this cursor is not one that a page gave")
class InvalidCursorError(ClosecastError):
    """The cursor was not taken from `next_cursor`: begin again without one."""

    def __init__(self) -> None:
        super().__init__("this cursor is not one that a page gave")


def encode_cursor(at: datetime, row_id: UUID) -> str:
    """The place after the row that sorts by ``(at, row_id)``."""
    return urlsafe_b64encode(f"{at.isoformat()} {row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """What ``encode_cursor`` was given.

    Raises
    ------
    InvalidCursorError : it came from somewhere else.
    """
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, row_id = text.split(" ")
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None:
            raise InvalidCursorError
        return instant, UUID(row_id)
    except ValueError as error:
        raise InvalidCursorError from error
