"""What can go wrong about the pages' own session."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.FORBIDDEN, "foreign-page", example="only this service's own pages may ask here")
class ForeignPageError(ClosecastError):
    """Another site's page, or a program, asked a route of our own pages: programs sign in at POST /auth/token."""

    def __init__(self) -> None:
        super().__init__("only this service's own pages may ask here")
