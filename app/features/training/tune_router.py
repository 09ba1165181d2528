"""Tunings over HTTP: a job like any other."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.idempotency import KEY_PROBLEMS, Answer, Key, LogIdentity, answer_once
from app.core.openapi import problem_responses
from app.core.security import TrainUser
from app.features.configuration.errors import InvalidConfigurationError
from app.features.market_data.errors import TickerNotStoredError
from app.features.training import tune_asking
from app.features.training.errors import TrainingInProgressError
from app.features.training.schemas import JobAccepted
from app.features.training.tune_schemas import TuneWish
from data_pipeline.errors import NothingStoredError
from data_pipeline.ticker import MalformedTickerError

router = APIRouter(tags=["training"], responses=problem_responses(DatabaseUnavailableError))


@router.post(
    "/tune",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobAccepted,
    responses=problem_responses(
        InvalidConfigurationError,
        MalformedTickerError,
        TickerNotStoredError,
        NothingStoredError,
        TrainingInProgressError,
        *KEY_PROBLEMS,
    ),
)
async def tune(request: Request, db: DbSession, user: TrainUser, wish: TuneWish, key: Key = None) -> Response:
    """Have trainings tried on days before the test part, ranked by what they gain over the naive forecast.

    The job's result names the best one, and how likely so many trials are to bring forth such a one by luck. Follow
    the job at `/train/{job_id}`; one training or tuning of a user at a time.
    """

    async def ask(_: LogIdentity | None) -> Answer:
        job = await tune_asking.tune(db, wish, user.user_id)
        return Answer.of(job, status=HTTPStatus.ACCEPTED, headers={"Location": f"/train/{job.job_id}"})

    return await answer_once(request, db, user.user_id, key, ask)
