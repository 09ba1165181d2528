"""What can go wrong about bundles over HTTP and at the command line."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.NOT_FOUND, "bundle-not-found", example="no bundle 3f2a… is registered")
class BundleNotFoundError(ClosecastError):
    """No bundle of this id is registered: list them at /models."""

    def __init__(self, bundle_id: str) -> None:
        super().__init__(f"no bundle {bundle_id[:64]} is registered")


@problem(HTTPStatus.CONFLICT, "gate-evidence-missing", example="bundle 3f2a… was not compared with the champion yet")
class GateEvidenceMissingError(ClosecastError):
    """A bundle is promoted on the gate's figures only: force it with a reason, which every answer then tells."""

    def __init__(self, bundle_id: str) -> None:
        super().__init__(
            f"bundle {bundle_id[:12]} has no figures beside the champion's: promote it with force and reason"
        )


@problem(HTTPStatus.UNPROCESSABLE_ENTITY, "promotion-reason-missing", example="a forced promotion needs a reason")
class PromotionReasonMissingError(ClosecastError):
    """Forcing leaves a reason in the ledger for good: give one."""

    def __init__(self) -> None:
        super().__init__("a forced promotion needs a reason")


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-champion", example="no bundle could be loaded yet, repeat shortly")
class NoChampionError(ClosecastError):
    """No bundle is being served: the installation was not prepared, or its bundles are refused; see the log."""

    def __init__(self, detail: str = "no bundle could be loaded yet, repeat shortly") -> None:
        super().__init__(detail)
        self.retry_after_seconds = 5.0
