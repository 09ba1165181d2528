"""Jobs over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from app.config import Settings
from app.core.database import DatabaseUnavailableError, DbSession
from app.core.idempotency import KEY_PROBLEMS, Answer, Key, LogIdentity, answer_once
from app.core.openapi import problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.security import TrainUser
from app.features.configuration.errors import InvalidConfigurationError, NoChampionConfigError
from app.features.market_data.errors import TickerNotStoredError
from app.features.registry.errors import NoChampionError
from app.features.training import asking
from app.features.training.errors import JobEndedError, JobNotFoundError, TooManyStreamsError, TrainingInProgressError
from app.features.training.schemas import JobAccepted, JobLine, JobRead, TrainWish, UpdateWish
from app.features.training.streams import JobStreams
from app.schemas.page import Page
from data_pipeline.errors import NothingStoredError
from data_pipeline.ticker import MalformedTickerError

EVENT_STREAM = "text/event-stream"
EXAMPLE_EVENTS = """: a stream of events

id: 1
event: status
data: {"at": "2013-12-31T21:00:00+00:00", "status": "running", "attempt": 1}

id: 2
event: progress
data: {"at": "2013-12-31T21:00:09+00:00", "epoch": 1, "epochs": 4, "train_loss": 0.201, "validation_loss": 0.198}

"""

router = APIRouter(tags=["training"], responses=problem_responses(DatabaseUnavailableError))

JobId = Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])]


@router.post(
    "/train",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobAccepted,
    responses=problem_responses(
        InvalidConfigurationError,
        MalformedTickerError,
        TickerNotStoredError,
        NothingStoredError,
        NoChampionConfigError,
        NoChampionError,
        TrainingInProgressError,
        *KEY_PROBLEMS,
    ),
)
async def train(
    request: Request,
    db: DbSession,
    user: TrainUser,
    wish: Annotated[TrainWish, Body(default_factory=TrainWish)],
    key: Key = None,
) -> Response:
    """Have a network trained, exported and checked; it is registered, not promoted.

    One training of a user at a time. An empty body trains the champion's configuration anew.
    """

    async def ask(_: LogIdentity | None) -> Answer:
        settings: Settings = request.app.state.settings
        return _accepted(await asking.train(db, wish, user.user_id, gate_days=settings.gate_days))

    return await answer_once(request, db, user.user_id, key, ask)


@router.post(
    "/train/update",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobAccepted,
    responses=problem_responses(NoChampionConfigError, NoChampionError, TrainingInProgressError, *KEY_PROBLEMS),
)
async def update_champion(
    request: Request,
    db: DbSession,
    user: TrainUser,
    wish: Annotated[UpdateWish, Body(default_factory=UpdateWish)],
    key: Key = None,
) -> Response:
    """Have the champion learn on, from its own weights, on the newest bars; what comes of it is a challenger."""

    async def ask(_: LogIdentity | None) -> Answer:
        return _accepted(await asking.update(db, wish, user.user_id))

    return await answer_once(request, db, user.user_id, key, ask)


@router.get("/train", responses=problem_responses(InvalidCursorError))
async def list_jobs(db: DbSession, user: TrainUser, cursor: Cursor = None, limit: PageLimit = 50) -> Page[JobRead]:
    """Your jobs of every kind, newest first; an administrator's list holds everybody's."""
    return await asking.list_jobs(db, user, cursor=cursor, limit=limit)


@router.get("/train/{job_id}", responses=problem_responses(JobNotFoundError))
async def read_job(db: DbSession, user: TrainUser, job_id: JobId) -> JobRead:
    """How a job stands, and its result once there is one."""
    return asking.shown(await asking.find(db, job_id, user))


@router.delete("/train/{job_id}", responses=problem_responses(JobNotFoundError, JobEndedError))
async def cancel_job(db: DbSession, user: TrainUser, job_id: JobId) -> JobRead:
    """Cancel a job: its process ends within seconds, and what it had not finished is deleted."""
    return await asking.cancel(db, job_id, user)


@router.get("/train/{job_id}/logs", responses=problem_responses(JobNotFoundError))
async def read_job_logs(
    db: DbSession,
    user: TrainUser,
    job_id: JobId,
    cursor: Annotated[int, Query(ge=0, le=2**31 - 1, description="`next_cursor` of the page before.")] = 0,
    limit: PageLimit = 50,
) -> Page[JobLine]:
    """What a job told in words, oldest first."""
    return await asking.read_lines(db, job_id, user, after=cursor, limit=limit)


@router.get(
    "/train/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        HTTPStatus.OK: {
            "description": "Server-sent events; each has a number, a kind and a JSON document.",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": EXAMPLE_EVENTS}},
        },
        HTTPStatus.NO_CONTENT: {"description": "The job has ended and nothing happened since: do not ask again."},
        **problem_responses(JobNotFoundError, TooManyStreamsError),
    },
)
async def follow_job(
    request: Request,
    db: DbSession,
    user: TrainUser,
    job_id: JobId,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, le=2**31 - 1, description="Number of the last event that came.")
    ] = 0,
) -> Response:
    """What happens in a job, as it happens: kinds `status`, `progress` and `log`.

    The stream ends with the job, and after five minutes; who asks again with `Last-Event-ID` misses nothing.
    """
    job = await asking.find(db, job_id, user)
    await db.close()  # a stream is open for long: it takes a connection only while it reads
    if job.finished_at is not None and last_event_id >= job.last_event:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    streams: JobStreams = request.app.state.job_streams
    events = streams.follow(job_id, user.user_id, after=last_event_id)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx passes each event on at once
    return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers)


def _accepted(job: JobAccepted) -> Answer:
    return Answer.of(job, status=HTTPStatus.ACCEPTED, headers={"Location": f"/train/{job.job_id}"})
