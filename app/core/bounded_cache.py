"""What was read lately, kept in memory up to a number of entries."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """A mapping that drops what was used longest ago; for one event loop, so without a lock."""

    def __init__(self, most_entries: int) -> None:
        self._most_entries = most_entries
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """The value kept for ``key``, if there is one."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep ``value``."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most_entries:
            self._entries.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget one entry, if it is there."""
        self._entries.pop(key, None)

    def items(self) -> list[tuple[Key, Value]]:
        """All entries, as they are now: entries may be dropped while one goes through them."""
        return list(self._entries.items())

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
