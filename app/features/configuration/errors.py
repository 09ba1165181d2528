"""What can go wrong about configurations over HTTP."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid-configuration",
    example="lookback: Input should be greater than or equal to 5",
)
class InvalidConfigurationError(ClosecastError):
    """No network can be trained like this: the detail names the field; /config shows the fields that there are."""


@problem(HTTPStatus.NOT_FOUND, "config-version-not-found", example="the defaults never had a version 7")
class ConfigVersionNotFoundError(ClosecastError):
    """The defaults never had a version of this number: the newest one is shown without asking for one."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the defaults never had a version {version}")


@problem(
    HTTPStatus.NOT_FOUND,
    "no-champion-config",
    example="the champion is the reference, which was not trained: say what to train",
)
class NoChampionConfigError(ClosecastError):
    """The champion is the reference, which has neither configuration nor weights: say what to train."""

    def __init__(self) -> None:
        super().__init__("the champion is the reference, which was not trained: say what to train")
