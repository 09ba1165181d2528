"""The state of the installation over HTTP, for administrators."""

from datetime import UTC, datetime

from fastapi import APIRouter

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.security import AdminUser
from app.features.operations import service
from app.features.operations.schemas import OperationsRead

router = APIRouter(tags=["service"], responses=problem_responses(DatabaseUnavailableError))


@router.get("/operations")
async def read_operations(db: DbSession, _admin: AdminUser) -> OperationsRead:
    """Sources, data, queues, jobs and what was done after each close: where to look when something stands still."""
    return await service.look(db, datetime.now(UTC))
