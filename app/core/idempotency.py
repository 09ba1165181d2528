"""Requests that may be sent again: one key, one answer.

A client that lost an answer repeats the request with the same ``Idempotency-Key`` and gets what it would have got. The
first attempt claims the key in a transaction of its own, does the work, and keeps the answer beside the key; each later
one with the same body is answered from there. Whoever was killed in between leaves the key claimed: it is free again
after ``CLAIM_SECONDS``, and the next attempt logs under the same id and instant, so that the log holds one row.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

from fastapi import Header
from pydantic import BaseModel
from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from app.config import LONGEST_COLLECT_WAIT_SECONDS
from app.core.problems import problem
from app.models.idempotency import IdempotencyKey
from data_pipeline.errors import ClosecastError

KEPT_FOR = timedelta(hours=24)
CLAIM_SECONDS = LONGEST_COLLECT_WAIT_SECONDS + 5.0  # longer than any request that is still at work
REPLAYED = "Idempotency-Replayed"
AT_A_TIME = 5_000  # expired keys deleted in one statement

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own, such as a UUID. Sent again within 24 hours with the same body, the request "
        f"is not carried out again: the first answer comes once more, with `{REPLAYED}: true`.",
    ),
]
LogIdentity = tuple[UUID, datetime]  # id and instant of the row that logs a request, whichever attempt writes it


@problem(HTTPStatus.CONFLICT, "idempotency-key-reused", example="this Idempotency-Key was sent with another request")
class IdempotencyKeyReusedError(ClosecastError):
    """You sent this key within 24 hours with another body or to another route: take a new key for a new request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was sent with another request: take a new one")


@problem(HTTPStatus.CONFLICT, "idempotency-key-in-use", example="a request with this Idempotency-Key is under way")
class IdempotencyKeyInUseError(ClosecastError):
    """The first request with this key has no answer yet: repeat after ``Retry-After``."""

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is under way: repeat shortly")
        self.retry_after_seconds = 1.0


KEY_PROBLEMS = (IdempotencyKeyReusedError, IdempotencyKeyInUseError)  # of every route that takes a key


@dataclass(frozen=True)
class Answer:
    """A success, ready to be sent and to be kept."""

    body: bytes
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: BaseModel, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Self:
        """A model as JSON."""
        return cls(model.model_dump_json().encode(), status, headers or {})

    def response(self, **more_headers: str) -> Response:
        """What is sent."""
        headers = {**self.headers, **more_headers}
        return Response(self.body, status_code=self.status, media_type="application/json", headers=headers)


@dataclass(frozen=True)
class Claim:
    """A key in this attempt's hands; ``kept`` is the answer of an earlier one."""

    user_id: UUID
    key: str
    id: UUID
    claimed_at: datetime
    kept: Answer | None

    @classmethod
    def of(cls, row: IdempotencyKey) -> Self:
        """Read a row, which does not outlive its session."""
        kept = None if row.status is None else Answer(row.answer or b"", row.status, row.headers or {})
        return cls(row.user_id, row.key, row.id, row.claimed_at, kept)


async def answer_once(
    request: Request,
    db: AsyncSession,
    user_id: UUID,
    key: str | None,
    make: Callable[[LogIdentity | None], Awaitable[Answer]],
) -> Response:
    """What ``make`` answers, or what it once answered to the same request; without a key it is simply called.

    Successes are kept. An attempt that failed leaves its key to the next one.

    Raises
    ------
    IdempotencyKeyReusedError, IdempotencyKeyInUseError : and whatever ``make`` does.
    """
    if key is None:
        return (await make(None)).response()
    digest = sha256(await request.body()).digest()
    claim = await _claim(db, user_id, key, _route(request), digest)
    if claim.kept is not None:
        return claim.kept.response(**{REPLAYED: "true"})
    try:
        answer = await make((claim.id, claim.claimed_at))
    except Exception:
        with suppress(SQLAlchemyError, OSError):  # what went wrong is told, and the claim ends by itself
            await _give_up(db, claim)
        raise
    await _keep(db, claim, answer)
    return answer.response()


async def delete_expired(db: AsyncSession) -> int:
    """Delete the keys whose time is over, and commit; gives their number."""
    name = tuple_(IdempotencyKey.user_id, IdempotencyKey.key)
    expired = select(IdempotencyKey.user_id, IdempotencyKey.key).where(IdempotencyKey.expires_at <= func.now())
    deleted = 0
    while True:
        statement = delete(IdempotencyKey).where(name.in_(expired.limit(AT_A_TIME))).returning(IdempotencyKey.id)
        some = len((await db.scalars(statement)).all())
        await db.commit()
        deleted += some
        if some < AT_A_TIME:
            return deleted


def _route(request: Request) -> str:
    """Method, path and query: a key is of one request, under whichever of the two roots it is sent."""
    return f"{request.method} {request.scope['path']}?{request.url.query}"


async def _claim(db: AsyncSession, user_id: UUID, key: str, route: str, digest: bytes) -> Claim:
    """The key, claimed by this attempt, or with the answer of an earlier one; commits."""
    now = func.now()
    values = {
        "id": uuid4(),
        "route": route,
        "body_sha256": digest,
        "claimed_at": now,
        "free_at": now + timedelta(seconds=CLAIM_SECONDS),
        "expires_at": now + KEPT_FOR,
        "status": None,
        "headers": None,
        "answer": None,
    }
    fresh = (
        insert(IdempotencyKey)
        .values(user_id=user_id, key=key, **values)
        .on_conflict_do_update(
            index_elements=[IdempotencyKey.user_id, IdempotencyKey.key],
            set_=values,
            where=IdempotencyKey.expires_at <= now,
        )
        .returning(IdempotencyKey)
    )
    row = await db.scalar(fresh, execution_options={"populate_existing": True})
    claim = Claim.of(row) if row is not None else await _claim_again(db, user_id, key, (route, digest))
    await db.commit()
    return claim


async def _claim_again(db: AsyncSession, user_id: UUID, key: str, wanted: tuple[str, bytes]) -> Claim:
    """A key that is known: with its answer, or taken over from an attempt that gave up or was killed."""
    this = (IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
    known = (await db.scalars(select(IdempotencyKey).where(*this))).one()
    if (known.route, known.body_sha256) != wanted:
        raise IdempotencyKeyReusedError
    if known.status is not None:
        return Claim.of(known)
    now = func.now()
    take_over = (
        update(IdempotencyKey)
        .where(*this, IdempotencyKey.status.is_(None), IdempotencyKey.free_at <= now)
        .values(free_at=now + timedelta(seconds=CLAIM_SECONDS))
        .returning(IdempotencyKey.id)
    )
    if await db.scalar(take_over) is None:
        raise IdempotencyKeyInUseError
    return Claim.of(known)


async def _keep(db: AsyncSession, claim: Claim, answer: Answer) -> None:
    await _update(db, claim, status=int(answer.status), headers=dict(answer.headers), answer=answer.body)


async def _give_up(db: AsyncSession, claim: Claim) -> None:
    await db.close()  # whatever the attempt left undone
    await _update(db, claim, free_at=func.now())


async def _update(db: AsyncSession, claim: Claim, **values: Any) -> None:
    this = (IdempotencyKey.user_id == claim.user_id, IdempotencyKey.key == claim.key, IdempotencyKey.id == claim.id)
    await db.execute(update(IdempotencyKey).where(*this, IdempotencyKey.status.is_(None)).values(**values))
    await db.commit()
