"""A page ends where the next one begins."""

from collections.abc import Sequence

import pytest

from app.core.paging import page_of


@pytest.mark.parametrize(
    ("rows", "items", "next_cursor"),
    [([], [], None), ([1], ["1"], None), ([1, 2], ["1", "2"], None), ([1, 2, 3], ["1", "2"], "after 2")],
)
def test_a_row_beyond_the_limit_is_not_shown_but_says_that_there_is_more(
    rows: Sequence[int], items: list[str], next_cursor: str | None
) -> None:
    page = page_of(rows, 2, item=str, cursor=lambda last: f"after {last}")

    assert (page.items, page.next_cursor) == (items, next_cursor)
