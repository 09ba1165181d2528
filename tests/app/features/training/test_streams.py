"""Events as they happen: in any API process, without a gap and without one twice, wherever the client goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import bounded_connection_string
from app.core.notifications import NotificationListener
from app.features.training import service, streams
from app.features.training.errors import TooManyStreamsError
from app.features.training.streams import JobStreams
from tests.app.accounts import Account

Sessions = async_sessionmaker[AsyncSession]
USER = uuid4()
HOUR = timedelta(hours=1)


@pytest.fixture
async def other_process(settings: Settings, sessions: Sessions) -> AsyncIterator[JobStreams]:
    """The streams of an API process that did nothing for the job: it hears of it through PostgreSQL."""
    listener = NotificationListener(bounded_connection_string(settings))
    listener.start()
    await listener.connected.wait()
    yield JobStreams(sessions, listener)
    await listener.stop()


async def begun(sessions: Sessions, owner: UUID | None = None) -> UUID:
    """A job that runs."""
    async with sessions() as db:
        job = await service.start_job(db, kind="train", spec={}, owner=owner, reason="a test")
        await service.begin(db, job.id, begun=0, lease=HOUR)
        return job.id


async def tell(sessions: Sessions, job_id: UUID, epoch: int) -> None:
    """What a worker writes."""
    async with sessions() as db:
        lease = HOUR
        assert await service.keep_up(db, job_id, 1, lease=lease, lines=[f"line {epoch}"], progress={"epoch": epoch})


async def finish(sessions: Sessions, job_id: UUID) -> None:
    async with sessions() as db:
        await service.end(db, job_id, 1, service.Ended({"bundle": "b"}, None))


def parsed(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Number, kind and document of each event in a stream; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            document = json.loads(fields["data"])
            document.pop("at")
            found.append((int(fields["id"]), fields["event"], document))
    return found


async def test_what_happens_is_heard_at_once_in_another_process(
    sessions: Sessions, other_process: JobStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the stream ends with the job."""
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 600.0)  # so long it would not look by itself
    job_id = await begun(sessions)
    stream = other_process.follow(job_id, USER, after=0)

    heard = ""
    async with asyncio.timeout(60):
        while len(parsed(heard)) < 2:
            heard += await anext(stream)
        for epoch in (1, 2):
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0.2)  # by now it has found nothing new
            await tell(sessions, job_id, epoch)
            heard += await waiting
            while len(parsed(heard)) < 2 + 2 * epoch:
                heard += await anext(stream)
        await finish(sessions, job_id)
        async for text in stream:
            heard += text

    events = parsed(heard)
    assert [number for number, _, _ in events] == list(range(1, 8))
    assert [kind for _, kind, _ in events] == ["status", "status", *["log", "progress"] * 2, "status"]
    assert events[-1][2] == {"status": "succeeded"}
    assert events[5][2] == {"epoch": 2}


async def test_a_stream_goes_on_where_the_client_was_and_ends_where_nothing_can_follow(
    client: httpx.AsyncClient, trainer: Account, sessions: Sessions
) -> None:
    """By `Last-Event-ID`, as browsers send it; after the end there is nothing to come back for."""
    job_id = await begun(sessions, trainer.id)
    await tell(sessions, job_id, 1)
    await finish(sessions, job_id)
    place = f"/train/{job_id}/events"

    whole = await client.get(place, headers=trainer.headers)
    rest = await client.get(place, headers={**trainer.headers, "Last-Event-ID": "3"})
    over = await client.get(place, headers={**trainer.headers, "Last-Event-ID": "5"})
    wrong = await client.get(place, headers={**trainer.headers, "Last-Event-ID": "first"})

    assert whole.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [number for number, _, _ in parsed(whole.text)] == [1, 2, 3, 4, 5]
    assert [number for number, _, _ in parsed(rest.text)] == [4, 5]
    assert (over.status_code, over.content) == (204, b"")
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/invalid-request")


async def test_silence_is_told_so_that_nobody_closes_the_stream(
    sessions: Sessions, other_process: JobStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a notification that got lost costs a pause, not the event."""
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    job_id = await begun(sessions)
    stream = other_process.follow(job_id, USER, after=2)

    assert [await anext(stream) for _ in range(3)] == [": a stream of events\n\n", ": alive\n\n", ": alive\n\n"]
    await other_process._listener.stop()
    await finish(sessions, job_id)
    async with asyncio.timeout(30):
        assert parsed("".join([text async for text in stream]))[-1][2] == {"status": "succeeded"}


async def test_streams_are_bounded_and_end_with_their_process(
    sessions: Sessions, other_process: JobStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed one makes room."""
    monkeypatch.setattr(streams, "PER_USER", 2)
    job_id = await begun(sessions)
    two = [other_process.follow(job_id, USER, after=2) for _ in range(2)]
    for stream in two:
        await anext(stream)

    with pytest.raises(TooManyStreamsError):
        other_process.follow(job_id, USER, after=0)
    waiting = [asyncio.create_task(anext(stream, None)) for stream in two]
    await asyncio.sleep(0.05)
    other_process.close()
    async with asyncio.timeout(30):
        assert await asyncio.gather(*waiting) == [None, None]
    other_process.follow(job_id, USER, after=0)


async def test_the_lines_of_a_job_are_paged(client: httpx.AsyncClient, trainer: Account, sessions: Sessions) -> None:
    job_id = await begun(sessions, trainer.id)
    for epoch in (1, 2, 3):
        await tell(sessions, job_id, epoch)

    first = (await client.get(f"/train/{job_id}/logs?limit=2", headers=trainer.headers)).json()
    cursor = first["next_cursor"]
    second = (await client.get(f"/train/{job_id}/logs?cursor={cursor}", headers=trainer.headers)).json()

    assert [line["text"] for line in first["items"]] == ["line 1", "line 2"]
    assert ([line["text"] for line in second["items"]], second["next_cursor"]) == (["line 3"], None)
