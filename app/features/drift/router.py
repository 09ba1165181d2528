"""Drift over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Request, Response

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.idempotency import KEY_PROBLEMS, Answer, Key, LogIdentity, answer_once
from app.core.openapi import problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.security import TrainUser
from app.features.drift import service
from app.features.drift.errors import DriftReportNotFoundError
from app.features.drift.schemas import DriftRead, DriftWish
from app.features.market_data.errors import DataVersionNotFoundError, TickerNotStoredError
from app.features.registry.errors import BundleNotFoundError
from app.features.training.errors import DriftInProgressError
from app.schemas.page import Page
from data_pipeline.errors import NothingStoredError
from data_pipeline.ticker import MalformedTickerError

router = APIRouter(
    tags=["drift"],
    responses=problem_responses(DatabaseUnavailableError),
)


@router.post(
    "/drift/detect",
    status_code=HTTPStatus.ACCEPTED,
    response_model=DriftRead,
    responses=problem_responses(
        MalformedTickerError,
        TickerNotStoredError,
        NothingStoredError,
        DataVersionNotFoundError,
        BundleNotFoundError,
        DriftInProgressError,
        *KEY_PROBLEMS,
    ),
)
async def detect_drift(
    request: Request,
    db: DbSession,
    user: TrainUser,
    wish: Annotated[DriftWish, Body(default_factory=DriftWish)],
    key: Key = None,
) -> Response:
    """Compare the input columns of two data versions, or of recent bars with a bundle's training.

    A job does it; what it found is at /drift/{id}. With the scores of live forecasts, error and coverage are judged
    too. No body: the newest bars with the champion's training. One comparison of a user at a time.
    """

    async def ask(_: LogIdentity | None) -> Answer:
        asked = await service.ask(db, wish, owner=user.user_id)
        return Answer.of(asked, status=HTTPStatus.ACCEPTED, headers={"Location": f"/drift/{asked.id}"})

    return await answer_once(request, db, user.user_id, key, ask)


@router.get("/drift", responses=problem_responses(InvalidCursorError))
async def list_drift(db: DbSession, user: TrainUser, cursor: Cursor = None, limit: PageLimit = 50) -> Page[DriftRead]:
    """What was found so far, newest first: for you, and by the schedule; administrators see everybody's."""
    return await service.list_reports(db, user, cursor=cursor, limit=limit)


@router.get("/drift/{report_id}", responses=problem_responses(DriftReportNotFoundError))
async def read_drift(
    db: DbSession,
    user: TrainUser,
    report_id: Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])],
) -> DriftRead:
    """What was found, or how the job stands that is to find it; what another user asked for is a 404."""
    return await service.read(db, report_id, user)
