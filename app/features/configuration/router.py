"""Configurations over HTTP: shown to every user, changed by administrators; nothing here touches the champion."""

from typing import Annotated

from fastapi import APIRouter, Query, Security

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.security import AdminUser, admit
from app.features.configuration import service
from app.features.configuration.errors import ConfigVersionNotFoundError, InvalidConfigurationError
from app.features.configuration.schemas import ChangedDefaults, ConfigRead, DefaultsRead, NewDefaults
from app.features.market_data.errors import DataVersionNotFoundError, TickerNotStoredError
from app.features.registry.errors import NoChampionError
from app.models.user import Scope

router = APIRouter(
    tags=["training"],
    dependencies=[Security(admit, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)

REFUSALS = (InvalidConfigurationError, TickerNotStoredError, DataVersionNotFoundError)
Version = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Of the defaults; none: the newest.")]


@router.get("/config", responses=problem_responses(ConfigVersionNotFoundError, NoChampionError))
async def read_config(db: DbSession, version: Version = None) -> ConfigRead:
    """The champion's configuration, and the defaults of a training with who changed them and when."""
    return await service.read_config(db, version=version)


@router.put("/config", responses=problem_responses(*REFUSALS))
async def replace_config(db: DbSession, admin: AdminUser, new: NewDefaults) -> DefaultsRead:
    """Replace the defaults of a training; former versions stay readable, and the served champion is not touched."""
    return await service.replace_defaults(db, new, by=f"user {admin.user_id}")


@router.post("/config", responses=problem_responses(*REFUSALS))
async def change_config(db: DbSession, admin: AdminUser, change: ChangedDefaults) -> DefaultsRead:
    """Change a part of the defaults of a training; the served champion is not touched."""
    return await service.change_defaults(db, change, by=f"user {admin.user_id}")
