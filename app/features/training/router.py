"""Jobs over HTTP."""

from fastapi import APIRouter, Security

from app.core.database import DatabaseUnavailableError
from app.core.openapi import problem_responses
from app.core.security import admit
from app.models.user import Scope

router = APIRouter(
    tags=["training"],
    dependencies=[Security(admit, scopes=[Scope.TRAIN])],
    responses=problem_responses(DatabaseUnavailableError),
)
