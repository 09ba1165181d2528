"""One LISTEN connection per process: PostgreSQL tells every process what changed.

A notification is a hint, not a message: whoever is woken reads the database. What was sent while the connection was
away is lost, so each reconnection wakes everyone.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator

import psycopg
from psycopg import sql

from app.core.bounded_connection import connect_bounded

logger = logging.getLogger(__name__)

WINDOW_CHANNEL = "closecast_window"  # payload: the ticker whose window, or whose failure to get one, is stored
CHAMPION_CHANNEL = "closecast_champion"  # payload: the id of the bundle that was promoted
SKILL_CHANNEL = "closecast_skill"  # payload: the id of the bundle that has new figures of scored forecasts
JOB_CHANNEL = "closecast_job"  # payload: the id of a job that something happened in

RECONNECT_SECONDS = 0.5
HEARTBEAT_SECONDS = 3.0  # a connection on which nothing arrives any more looks like one on which nothing happens

Handler = Callable[[str | None], Awaitable[None]]


class NotificationListener:
    """Listens on a fixed set of channels; hands each payload to handlers and to whoever waits for it.

    Parameters
    ----------
    connection_string : libpq's, password and deadlines included.
    """

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._handlers: defaultdict[str, list[Handler]] = defaultdict(list)
        self._waiters: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._handling: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()

    def on(self, channel: str, handler: Handler) -> None:
        """Call ``handler`` with each payload of ``channel``, and with None when notifications may have been missed."""
        self._handlers[channel].append(handler)

    @contextlib.contextmanager
    def expect(self, channel: str, payload: str) -> Iterator[asyncio.Event]:
        """An event that is set when ``payload`` comes; enter before asking for what will send it."""
        event = asyncio.Event()
        waiters = self._waiters[channel, payload]
        waiters.add(event)
        try:
            yield event
        finally:
            waiters.discard(event)
            if not waiters:
                self._waiters.pop((channel, payload), None)

    def start(self) -> None:
        """Begin to listen; until the first connection stands, nobody is woken."""
        self._task = asyncio.create_task(self._listen_for_ever(), name="notification-listener")

    async def stop(self) -> None:
        """Close the connection; a handler that has begun is let finish."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await asyncio.gather(*self._handling, return_exceptions=True)

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                logger.warning("notifications are interrupted: %s", type(error).__name__)
            finally:
                self.connected.clear()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        deadline_seconds = 2 * HEARTBEAT_SECONDS  # longer than it waits for a notification
        connection = await connect_bounded(self._connection_string, deadline_seconds=deadline_seconds, autocommit=True)
        async with connection:
            for channel in (WINDOW_CHANNEL, CHAMPION_CHANNEL, SKILL_CHANNEL, JOB_CHANNEL):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.connected.set()
            await self._wake_everyone()
            while True:
                async for notification in connection.notifies(timeout=HEARTBEAT_SECONDS):
                    await self._dispatch(notification.channel, notification.payload)
                await connection.execute("SELECT 1")  # what it lacks an answer to ends the connection

    async def _dispatch(self, channel: str, payload: str) -> None:
        for event in self._waiters.get((channel, payload), ()):
            event.set()
        await self._handle(channel, payload)

    async def _wake_everyone(self) -> None:
        for events in self._waiters.values():
            for event in events:
                event.set()
        for channel in tuple(self._handlers):
            await self._handle(channel, None)

    async def _handle(self, channel: str, payload: str | None) -> None:
        """Call the handlers of a channel, each in a task that stopping does not cut off in the middle of a query."""
        for handler in self._handlers[channel]:
            task = asyncio.ensure_future(handler(payload))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
            await asyncio.wait([task])
            if (error := task.exception()) is not None:
                logger.error("a handler of %s failed, listening goes on", channel, exc_info=error)
