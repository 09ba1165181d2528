"""What can go wrong about jobs over HTTP."""

from http import HTTPStatus
from uuid import UUID

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.NOT_FOUND, "job-not-found", example="no job 6f1c… is yours")
class JobNotFoundError(ClosecastError):
    """No job of this id is there, or it is somebody else's: list yours at /train."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"no job {job_id} is yours")


@problem(HTTPStatus.CONFLICT, "training-in-progress", example="a training of yours waits or runs already")
class TrainingInProgressError(ClosecastError):
    """One training of a user at a time: wait for it or cancel it; /train lists it."""

    def __init__(self) -> None:
        super().__init__("a training of yours waits or runs already")


@problem(HTTPStatus.CONFLICT, "drift-in-progress", example="a comparison of yours waits or runs already")
class DriftInProgressError(ClosecastError):
    """One comparison of a user at a time: read it at /drift/{id}, wait for it or cancel it at /train/{id}."""

    def __init__(self) -> None:
        super().__init__("a comparison of yours waits or runs already")


@problem(HTTPStatus.CONFLICT, "job-ended", example="job 6f1c… has ended: succeeded")
class JobEndedError(ClosecastError):
    """What has ended cannot be cancelled any more."""

    def __init__(self, job_id: UUID, status: str) -> None:
        super().__init__(f"job {job_id} has ended: {status}")


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", example="too many streams of events are open")
class TooManyStreamsError(ClosecastError):
    """So many streams of events are open that no more are taken: close one, or read the job itself now and then."""

    def __init__(self) -> None:
        super().__init__("too many streams of events are open")
        self.retry_after_seconds = 10.0
