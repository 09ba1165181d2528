"""What can go wrong about bundles over HTTP and at the command line."""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(HTTPStatus.NOT_FOUND, "bundle-not-found", example="no bundle 3f2a… is registered")
class BundleNotFoundError(ClosecastError):
    """No bundle of this id is registered: list them at /models."""

    def __init__(self, bundle_id: str) -> None:
        super().__init__(f"no bundle {bundle_id[:64]} is registered")


@problem(HTTPStatus.CONFLICT, "gate-not-passed", example="bundle 3f2a… stays a challenger: gain_not_proven")
class GateNotPassedError(ClosecastError):
    """The gate's figures say no: see /challenges for them; forcing needs a reason, which every answer then tells."""

    def __init__(self, bundle_id: str, reasons: Sequence[str]) -> None:
        super().__init__(f"bundle {bundle_id[:12]} stays a challenger: {', '.join(reasons)}")


@problem(HTTPStatus.CONFLICT, "already-champion", example="bundle 3f2a… is champion already")
class AlreadyChampionError(ClosecastError):
    """A champion does not challenge itself: nothing is to be done."""

    def __init__(self, bundle_id: str) -> None:
        super().__init__(f"bundle {bundle_id[:12]} is champion already")


@problem(HTTPStatus.CONFLICT, "nothing-to-roll-back", example="nobody was champion before the one that is")
class NothingToRollBackError(ClosecastError):
    """The first champion of an installation has none before it: promote another bundle instead."""

    def __init__(self) -> None:
        super().__init__("nobody was champion before the one that is")


@problem(HTTPStatus.NOT_FOUND, "challenge-not-found", example="no challenge 6f1c… was asked for")
class ChallengeNotFoundError(ClosecastError):
    """No challenge of this id was asked for, or the worker lost it: list them at /challenges, or ask again."""

    def __init__(self, challenge_id: UUID) -> None:
        super().__init__(f"no challenge {challenge_id} was asked for")


@problem(HTTPStatus.CONFLICT, "too-many-shadows", example="4 bundles are shadows already: end one first")
class TooManyShadowsError(ClosecastError):
    """Each shadow costs the worker a forecast per answer: end one first."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} bundles are shadows already: end one first")


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
