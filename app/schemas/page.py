"""One page of a longer list."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Items in order; ``next_cursor`` asks for the ones after them and is null on the last page."""

    model_config = ConfigDict(frozen=True)

    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to read on; null: this was the end.")
