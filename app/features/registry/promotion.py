"""Who becomes champion: by the gate, by force, or again. Every way ends in one line of the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import database_clock
from app.features.registry import crud
from app.features.registry.errors import (
    AlreadyChampionError,
    BundleNotFoundError,
    NoChampionError,
    NothingToRollBackError,
    PromotionReasonMissingError,
)
from app.models.challenge import Challenge
from app.models.promotion import Promotion
from ml_lifecycle.evaluation.gate import GateVerdict, Reason

SPENDING_PERIOD = timedelta(days=365)  # of any such span, all tests of one champion spend 5 % together


@dataclass(frozen=True)
class Contest:
    """Which bundle wants to replace which, and who asked; ``challenge_id`` was given out when it was asked for."""

    challenge_id: UUID
    bundle_id: str
    champion_id: str
    asked_by: str


async def force(db: AsyncSession, bundle_id: str, *, reason: str | None, by: str) -> Promotion:
    """Make a registered bundle champion without the gate, and commit; every API process swaps within seconds.

    Raises
    ------
    BundleNotFoundError : no such bundle is registered.
    PromotionReasonMissingError : it is not said why.
    AlreadyChampionError : a second line of the ledger would say nothing new.
    """
    if not (reason or "").strip():
        raise PromotionReasonMissingError
    await crud.lock_ledger(db)
    if await crud.find_bundle(db, bundle_id) is None:
        raise BundleNotFoundError(bundle_id)
    former = await crud.newest_promotions(db, limit=1)
    if former and former[0].bundle_id == bundle_id:
        raise AlreadyChampionError(bundle_id)
    line = Promotion(
        bundle_id=bundle_id,
        previous_bundle_id=former[0].bundle_id if former else None,
        kind="forced",
        decided_by=by,
        reason=reason,
    )
    await crud.add_promotion(db, line)
    await db.commit()
    return line


async def champion_of(db: AsyncSession, challenger_id: str) -> str:
    """Whom a registered bundle has to beat.

    Raises
    ------
    BundleNotFoundError, AlreadyChampionError
    NoChampionError : the installation was not prepared.
    """
    if await crud.find_bundle(db, challenger_id) is None:
        raise BundleNotFoundError(challenger_id)
    newest = await crud.newest_promotions(db, limit=1)
    if not newest:
        raise NoChampionError("nobody is champion yet: `closecast migrate` makes the reference champion")
    if newest[0].bundle_id == challenger_id:
        raise AlreadyChampionError(challenger_id)
    return newest[0].bundle_id


async def decide(db: AsyncSession, contest: Contest, verdict: GateVerdict) -> Challenge:
    """Record what the gate found, promote the bundle if it passed, and commit.

    Which test of this champion it was, and so what it may spend, is settled here, where nobody else decides. What
    another run of the same challenge has decided meanwhile stands.
    """
    await crud.lock_ledger(db)
    if (decided := await crud.find_challenge(db, contest.challenge_id)) is not None:
        return decided
    (newest,) = await crud.newest_promotions(db, limit=1)
    if newest.bundle_id != contest.champion_id:
        verdict = GateVerdict(refusal=Reason.CHAMPION_CHANGED, detail=f"champion is now {newest.bundle_id[:12]}")
    since = await database_clock(db) - SPENDING_PERIOD
    settled = verdict.as_test(1 + await crud.count_tests(db, contest.champion_id, since=since))
    figures = settled.to_dict()
    challenge = await crud.add_challenge(db, _challenge(contest, settled, figures))
    if settled.passed:
        line = Promotion(
            bundle_id=contest.bundle_id,
            previous_bundle_id=contest.champion_id,
            kind="gate",
            decided_by=contest.asked_by,
            figures=figures,
        )
        await crud.add_promotion(db, line)
    await db.commit()
    return challenge


def _challenge(contest: Contest, verdict: GateVerdict, figures: dict[str, Any]) -> Challenge:
    tested = verdict.test if verdict.refusal is None else None
    return Challenge(
        id=contest.challenge_id,
        bundle_id=contest.bundle_id,
        champion_id=contest.champion_id,
        decided_by=contest.asked_by,
        passed=verdict.passed,
        test_number=None if tested is None else tested.number,
        p_value=None if tested is None else tested.p_value,
        verdict=figures,
    )


async def roll_back(db: AsyncSession, *, reason: str | None, by: str) -> Promotion:
    """Make the champion before the present one champion again, and commit; a second time goes back further.

    Raises
    ------
    NothingToRollBackError : nobody was champion before.
    """
    await crud.lock_ledger(db)
    former, present = await last_reigns(db)
    line = Promotion(bundle_id=former, previous_bundle_id=present, kind="rollback", decided_by=by, reason=reason)
    await crud.add_promotion(db, line)
    await db.commit()
    return line


async def last_reigns(db: AsyncSession) -> tuple[str, str]:
    """The champion that a roll-back would go back to, and the present one.

    Raises
    ------
    NothingToRollBackError : nobody was champion before.
    """
    reigns = reigns_of(await crud.all_promotions(db))
    if len(reigns) < 2:
        raise NothingToRollBackError
    return reigns[-2], reigns[-1]


def reigns_of(ledger: Sequence[Promotion]) -> list[str]:
    """Champions that a roll-back can go back through, the present one last; ``ledger`` is oldest first.

    A roll-back takes the one that it ended out of the list: it is not gone back to by the next.
    """
    reigns: list[str] = []
    for line in ledger:
        if line.kind == "rollback" and len(reigns) > 1:
            reigns.pop()
        elif not reigns or reigns[-1] != line.bundle_id:
            reigns.append(line.bundle_id)
    return reigns
