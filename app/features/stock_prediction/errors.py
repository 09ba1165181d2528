"""What can go wrong about forecasts over HTTP."""

from http import HTTPStatus
from uuid import UUID

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.NOT_FOUND, "forecast-not-found", example="no forecast 7c9e6679-… was answered to you")
class ForecastNotFoundError(ClosecastError):
    """No forecast of this id was ever answered to you: list yours at /predictions."""

    def __init__(self, forecast_id: UUID) -> None:
        super().__init__(f"no forecast {forecast_id} was answered to you")


@problem(HTTPStatus.UNPROCESSABLE_ENTITY, "model-path-refused", example="`model_path` is refused: name no files")
class ModelPathRefusedError(ClosecastError):
    """A request cannot name a file to load: the champion answers, see /model/info."""

    def __init__(self) -> None:
        super().__init__("`model_path` is refused: no request names a file to load; the champion answers")


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "closes-network-missing",
    example="no network that forecasts from 60 closes is registered, and the champion cannot read this window: it "
    "needs 252 rows without a hole, and 60 came",
)
class ClosesNetworkMissingError(ClosecastError):
    """The champion cannot read your window and nothing else can: ask by ticker, or send what the champion reads.

    Operators: train and register one with `closecast train --config closes`.
    """

    def __init__(self, why_not_champion: str) -> None:
        super().__init__(
            "no network that forecasts from 60 closes is registered, and the champion cannot read this window: "
            f"{why_not_champion}"
        )
