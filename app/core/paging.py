"""Keyset paging: a cursor names the last row seen, so pages neither skip nor repeat rows that come and go."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from app.core.problems import problem
from app.schemas.page import Page
from data_pipeline.errors import ClosecastError

Row = TypeVar("Row")
Item = TypeVar("Item")

PageLimit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]

TickerCursor = Annotated[
    str | None,
    Query(pattern=r"^[A-Z0-9^][A-Z0-9.=^-]{0,19}$", description="`next_cursor` of the page before: its last ticker."),
]


def page_of(
    rows: Sequence[Row], limit: int, *, item: Callable[[Row], Item], cursor: Callable[[Item], str]
) -> Page[Item]:
    """The first ``limit`` of ``rows``; a further row, asked for with ``limit + 1``, says that the list goes on."""
    items = [item(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=cursor(items[-1]) if len(rows) > limit else None)


@problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-cursor", example="this cursor is not one that a page gave")
class InvalidCursorError(ClosecastError):
    """The cursor was not taken from `next_cursor`: begin again without one."""

    def __init__(self) -> None:
        super().__init__("this cursor is not one that a page gave")


def encode_cursor(at: datetime, row_id: UUID) -> str:
    """The place after the row that sorts by ``(at, row_id)``."""
    return urlsafe_b64encode(f"{at.isoformat()} {row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """What ``encode_cursor`` was given; None stays None, the place before the first row.

    Raises
    ------
    InvalidCursorError : it came from somewhere else.
    """
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, row_id = text.split(" ")
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None:
            raise InvalidCursorError
        return instant, UUID(row_id)
    except ValueError as error:
        raise InvalidCursorError from error
