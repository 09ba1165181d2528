"""Champion and challenger in MLflow's model registry, as the ledger says: the ledger is the truth, this follows it."""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import WorkerTools
from app.core.tracking import tracker_of
from app.features.registry import crud
from ml_lifecycle.export.folder import MANIFEST
from ml_lifecycle.training.mlflow_delivery import Tracker, TrackingUnavailableError, ask

logger = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
PATIENCE_SECONDS = 30.0  # MLflow's import, and its tables where they are new
REPAIR_SECONDS = 3600.0  # what somebody changed in MLflow is put right within the hour
RETRY_SECONDS = 600.0


class Mirror:
    """What a worker told MLflow last: it is asked again after a decision, after a while, and no more often."""

    def __init__(self) -> None:
        self._told: Mapping[str, str] | None = None
        self._again_at = 0.0

    async def follow(self, tools: WorkerTools) -> None:
        """Have MLflow's aliases say what the ledger says; where it cannot be reached, a line of the log does."""
        tracker = tracker_of(tools.settings)
        if tracker is None:
            return
        async with tools.sessions() as db:
            aliases = await aliases_of(db)
        if aliases == self._told and monotonic() < self._again_at:
            return
        wait = REPAIR_SECONDS
        try:
            changed = await asyncio.to_thread(tell, tracker, tools.settings, aliases)
        except TrackingUnavailableError as error:
            logger.warning("aliases stay as they were: %s", error)
            wait = RETRY_SECONDS
        else:
            if changed:
                logger.info("aliases of MLflow follow the ledger: %s", ", ".join(changed))
        self._told, self._again_at = aliases, monotonic() + wait


async def aliases_of(db: AsyncSession) -> dict[str, str]:
    """Bundle of each alias: the champion, and the newest of its shadows or, without any, who challenged it last."""
    newest = await crud.newest_promotions(db, limit=1)
    if not newest:
        return {}
    champion = newest[0].bundle_id
    shadows = [line.bundle_id for line in await crud.shadows(db) if line.bundle_id != champion]
    asked = await crud.list_challenges(db, limit=1, before=None)
    challengers = [line.bundle_id for line in asked if line.champion_id == champion and line.bundle_id != champion]
    challenger = shadows[-1:] or challengers
    return {CHAMPION: champion, **({CHALLENGER: challenger[0]} if challenger else {})}


def tell(tracker: Tracker, settings: Settings, aliases: Mapping[str, str]) -> list[str]:
    """Point MLflow's aliases at these bundles; gives those that had to be changed.

    Raises
    ------
    TrackingUnavailableError
    """
    manifests = {bundle: str((settings.bundles / bundle / MANIFEST).resolve()) for bundle in aliases.values()}
    changed: list[str] = ask(
        tracker, "mirror", timeout_seconds=PATIENCE_SECONDS, aliases=dict(aliases), manifests=manifests
    )
    return changed
