"""Bundles and promotions over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Security

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.paging import PageLimit
from app.core.security import admit
from app.features.registry import service
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import BundleNotFoundError, NoChampionError
from app.features.registry.schemas import BundleDetails, BundleRead, ModelInfo, PromotionRead
from app.models.user import Scope
from app.schemas.page import Page

router = APIRouter(
    tags=["models"],
    dependencies=[Security(admit, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)


@router.get("/model/info", responses=problem_responses(NoChampionError))
async def model_info(request: Request) -> ModelInfo:
    """What answers at this moment."""
    champions: ChampionHolder = request.app.state.champions
    now = datetime.now(UTC)
    champion = champions.serving(now)
    return service.describe(champion, now, flagged=champions.is_flagged(champion, now))


@router.get("/models")
async def list_models(db: DbSession, limit: PageLimit = 50) -> list[BundleRead]:
    """Registered bundles, newest first."""
    return await service.list_bundles(db, limit=limit)


@router.get("/models/{bundle_id}", responses=problem_responses(BundleNotFoundError))
async def read_model(
    db: DbSession, bundle_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$", examples=["0" * 64])]
) -> BundleDetails:
    """One registered bundle with its figures."""
    return await service.read_bundle(db, bundle_id)


@router.get("/promotions")
async def list_promotions(
    db: DbSession, cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None, limit: PageLimit = 50
) -> Page[PromotionRead]:
    """The ledger of which bundle was champion from when, by whose decision and why; newest first."""
    return await service.list_promotions(db, cursor=cursor, limit=limit)
