"""What many ask for at once is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    """Who asks for a key that is being worked on waits for that work, and gets its result or its error.

    The work is a task of its own: whoever asked first may go away without taking the others along.
    """

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Task[Result]] = {}

    async def do(self, key: Key, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of ``work``, or of that under way."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(work())
            task.add_done_callback(partial(self._finish, key))
        return await asyncio.shield(task)

    def _finish(self, key: Key, task: "asyncio.Task[Result]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody does any more, it is no news
