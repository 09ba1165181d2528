"""What can go wrong about drift reports over HTTP."""

from http import HTTPStatus
from uuid import UUID

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.NOT_FOUND, "drift-report-not-found", example="no drift report 6f1c… was made or asked for")
class DriftReportNotFoundError(ClosecastError):
    """No drift report of this id was made or asked for: list them at /drift."""

    def __init__(self, report_id: UUID) -> None:
        super().__init__(f"no drift report {report_id} was made or asked for")
