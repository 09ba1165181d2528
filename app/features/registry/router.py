"""Bundles and promotions over HTTP."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, Security

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.idempotency import KEY_PROBLEMS, Answer, Key, LogIdentity, answer_once
from app.core.openapi import problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.security import AdminUser, admit
from app.features.registry import challenges, promotion, service
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import (
    AlreadyChampionError,
    BundleNotFoundError,
    ChallengeNotFoundError,
    NoChampionError,
    NothingToRollBackError,
)
from app.features.registry.schemas import (
    BundleDetails,
    ChallengeRead,
    DecidedChallenge,
    ListedBundle,
    ModelInfo,
    PromotionRead,
    ReloadedModel,
    RollBackRead,
    RollBackWish,
)
from app.models.user import Scope
from app.schemas.page import Page

NO_REASON = RollBackWish()  # where no body was sent

router = APIRouter(
    tags=["models"],
    dependencies=[Security(admit, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)

BundleId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", examples=["0" * 64])]


@router.get("/model/info", responses=problem_responses(NoChampionError))
async def model_info(request: Request) -> ModelInfo:
    """What answers at this moment."""
    champions: ChampionHolder = request.app.state.champions
    now = datetime.now(UTC)
    champion = champions.serving(now)
    return service.describe(champion, now, flagged=champions.is_flagged(champion, now))


@router.post("/model/reload", responses=problem_responses(NoChampionError))
async def reload_model(request: Request, db: DbSession, _admin: AdminUser) -> ReloadedModel:
    """Read the ledger and the bundles' files again, in every process; the answer tells what serves now.

    A promotion needs no reloading: this is for files that were put right, or put where they were missing.
    """
    return await service.reload_champion(db, request.app.state.champions, datetime.now(UTC))


@router.get("/models")
async def list_models(db: DbSession, limit: PageLimit = 50) -> list[ListedBundle]:
    """Registered bundles with their figures beside the naive, newest first."""
    return await service.list_bundles(db, limit=limit)


# Before the route that takes what follows /models/ for a bundle.
@router.get("/models/rollback", responses=problem_responses(NothingToRollBackError))
async def preview_roll_back(db: DbSession, _admin: AdminUser) -> RollBackRead:
    """Which bundle a roll-back would make champion again, for whoever is about to decide it."""
    former, present = await promotion.last_reigns(db)
    return RollBackRead(bundle_id=former, previous_bundle_id=present)


@router.get("/models/{bundle_id}", responses=problem_responses(BundleNotFoundError))
async def read_model(db: DbSession, bundle_id: BundleId) -> BundleDetails:
    """One registered bundle with its figures."""
    return await service.read_bundle(db, bundle_id)


@router.post(
    "/models/{bundle_id}/promote",
    status_code=HTTPStatus.ACCEPTED,
    response_model=ChallengeRead,
    responses=problem_responses(BundleNotFoundError, AlreadyChampionError, NoChampionError, *KEY_PROBLEMS),
)
async def promote(request: Request, db: DbSession, admin: AdminUser, bundle_id: BundleId, key: Key = None) -> Response:
    """Have the gate judge a bundle against the champion; it becomes champion if it passes.

    The worker judges, on the stored bars; what came of it is at /challenges. Only the command line can force.
    """

    async def ask(_: LogIdentity | None) -> Answer:
        asked = await challenges.ask(db, bundle_id, by=f"user {admin.user_id}")
        return Answer.of(asked, status=HTTPStatus.ACCEPTED, headers={"Location": f"/challenges/{asked.id}"})

    return await answer_once(request, db, admin.user_id, key, ask)


@router.post(
    "/models/rollback",
    response_model=PromotionRead,
    responses=problem_responses(NothingToRollBackError, *KEY_PROBLEMS),
)
async def roll_back(
    request: Request, db: DbSession, admin: AdminUser, wish: RollBackWish = NO_REASON, key: Key = None
) -> Response:
    """Make the champion before the present one champion again; every process swaps within seconds."""

    async def go_back(_: LogIdentity | None) -> Answer:
        line = await promotion.roll_back(db, reason=wish.reason, by=f"user {admin.user_id}")
        return Answer.of(PromotionRead.model_validate(line))

    return await answer_once(request, db, admin.user_id, key, go_back)


@router.get("/challenges", responses=problem_responses(InvalidCursorError))
async def list_challenges(db: DbSession, cursor: Cursor = None, limit: PageLimit = 50) -> Page[DecidedChallenge]:
    """What the gate decided about each challenger, passed or not; newest first."""
    return await challenges.list_decided(db, cursor=cursor, limit=limit)


@router.get("/challenges/{challenge_id}", responses=problem_responses(ChallengeNotFoundError))
async def read_challenge(
    db: DbSession, challenge_id: Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])]
) -> ChallengeRead:
    """How a challenge stands, and all figures once it is decided."""
    return await challenges.read(db, challenge_id)


@router.get("/promotions")
async def list_promotions(
    db: DbSession, cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None, limit: PageLimit = 50
) -> Page[PromotionRead]:
    """The ledger of which bundle was champion from when, by whose decision and why; newest first."""
    return await service.list_promotions(db, cursor=cursor, limit=limit)
