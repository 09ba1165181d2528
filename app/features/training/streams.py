"""The events of a job as they happen, over HTTP: server-sent events, from any API process, wherever the job runs."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.database import DatabaseUnavailableError
from app.core.notifications import JOB_CHANNEL, NotificationListener
from app.core.own_session import own_session
from app.features.training import crud
from app.features.training.errors import TooManyStreamsError
from app.models.training_job import TrainingJobEvent

HEARTBEAT_SECONDS = 10.0  # a comment keeps proxies from closing what is silent; also when a notification got lost
STREAM_SECONDS = 300.0  # then it ends, and the client comes again: with a token that is still good
EVENTS_AT_ONCE = 200
PER_USER, PER_PROCESS = 8, 200


class JobStreams:
    """The open streams of this process."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], listener: NotificationListener) -> None:
        self._sessions, self._listener = sessions, listener
        self._open = Counter[UUID]()
        self._leaving = asyncio.Event()

    def close(self) -> None:
        """End all streams, and every one that is opened from now on: the process is to end."""
        self._leaving.set()

    def follow(self, job_id: UUID, user_id: UUID, *, after: int) -> AsyncIterator[str]:
        """The events with a number above ``after``, until the job has ended.

        Raises
        ------
        TooManyStreamsError : at once, not in the middle.
        """
        if self._open[user_id] >= PER_USER or self._open.total() >= PER_PROCESS:
            raise TooManyStreamsError
        return self._followed(job_id, user_id, after)

    async def _followed(self, job_id: UUID, user_id: UUID, after: int) -> AsyncIterator[str]:
        self._open[user_id] += 1
        try:
            with suppress(DatabaseUnavailableError):  # the client comes again, and goes on where it was
                async for text in self._told(job_id, after):
                    yield text
        finally:
            self._open[user_id] -= 1

    async def _told(self, job_id: UUID, after: int) -> AsyncIterator[str]:
        deadline = monotonic() + STREAM_SECONDS
        yield ": a stream of events\n\n"
        while monotonic() < deadline and not self._leaving.is_set():
            with self._listener.expect(JOB_CHANNEL, str(job_id)) as woken:
                events, ended = await self._read(job_id, after)
                for event in events:
                    yield spelled(event)
                    after = event.seq
                if ended and not events:
                    return
                if not events and not await self._wait(woken):
                    yield ": alive\n\n"

    async def _read(self, job_id: UUID, after: int) -> tuple[list[TrainingJobEvent], bool]:
        """What happened since, and whether more can: asked in this order, nothing falls in between."""
        async with own_session(self._sessions) as db:
            ended = not await crud.open_jobs(db, [job_id])
            return list(await crud.events_after(db, job_id, after, limit=EVENTS_AT_ONCE)), ended

    async def _wait(self, woken: asyncio.Event) -> bool:
        """Whether something happened, rather than nothing for a while."""
        waiting = [asyncio.create_task(event.wait()) for event in (woken, self._leaving)]
        try:
            await asyncio.wait(waiting, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return woken.is_set() or self._leaving.is_set()


def spelled(event: TrainingJobEvent) -> str:
    """One event as the wire has it (HTML, section 9.2.6); JSON holds no line break of its own."""
    told = json.dumps({"at": event.at.isoformat(), **event.payload}, ensure_ascii=False)
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {told}\n\n"
