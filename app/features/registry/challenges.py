"""Challenges over HTTP: asked for here, judged by the worker, read here again."""

from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import CHALLENGE, defer
from app.core.paging import decode_cursor, encode_cursor, page_of
from app.features.registry import crud
from app.features.registry.errors import ChallengeNotFoundError
from app.features.registry.promotion import champion_of
from app.features.registry.schemas import ChallengeRead, ChallengeStatus, DecidedChallenge
from app.schemas.page import Page

JOB_STATUS: dict[str, ChallengeStatus] = {"todo": "waiting", "doing": "judging"}  # any other: the job broke off


async def ask(db: AsyncSession, bundle_id: str, *, by: str) -> ChallengeRead:
    """Have a registered bundle judged, in this transaction, and commit; an open challenge of its is given again.

    Raises
    ------
    BundleNotFoundError, AlreadyChampionError, NoChampionError
    """
    challenge_id = await enqueue(db, bundle_id, by=by)
    await db.commit()
    return await read(db, challenge_id)  # one that was open already may be judged by now


async def enqueue(db: AsyncSession, bundle_id: str, *, by: str) -> UUID:
    """Have a registered bundle judged once the caller commits; gives the challenge, or the one that is open already.

    There is never a second one beside one that is being judged: were that one's worker killed, it could not wait again,
    and whoever asked for it would wait for good.

    Raises
    ------
    BundleNotFoundError, AlreadyChampionError, NoChampionError
    """
    await champion_of(db, bundle_id)
    await crud.lock_challenges(db, bundle_id)
    if (is_open := await crud.find_challenge_job(db, CHALLENGE, bundle_id=bundle_id)) is not None:
        return is_open[0]
    challenge_id = uuid4()
    arguments = {"challenge_id": str(challenge_id), "bundle_id": bundle_id, "asked_by": by}
    await defer(db, CHALLENGE, lock=f"{CHALLENGE}:{bundle_id}", **arguments)
    return challenge_id


async def read(db: AsyncSession, challenge_id: UUID) -> ChallengeRead:
    """How a challenge stands.

    Raises
    ------
    ChallengeNotFoundError
    """
    decided = await crud.find_challenge(db, challenge_id)
    if decided is not None:
        decision = DecidedChallenge.model_validate(decided)
        outcome: ChallengeStatus = "passed" if decided.passed else "refused"
        return ChallengeRead(id=decided.id, bundle_id=decided.bundle_id, status=outcome, decision=decision)
    job = await crud.find_challenge_job(db, CHALLENGE, challenge_id=challenge_id)
    if job is None:
        raise ChallengeNotFoundError(challenge_id)
    _, bundle_id, status = job
    return ChallengeRead(
        id=challenge_id, bundle_id=bundle_id, status=JOB_STATUS.get(status, "broken_off"), decision=None
    )


async def list_decided(db: AsyncSession, *, cursor: str | None, limit: int) -> Page[DecidedChallenge]:
    """One page of what the gate decided, newest first.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_challenges(db, limit=limit + 1, before=decode_cursor(cursor))
    return page_of(
        rows,
        limit,
        item=DecidedChallenge.model_validate,
        cursor=lambda last: encode_cursor(last.decided_at, last.id),
    )
