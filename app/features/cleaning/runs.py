"""Runs in MLflow that made no bundle."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.core.tracking import tracker_of
from app.features.cleaning.items import Item, Kind, Workplace
from ml_lifecycle.training.mlflow_delivery import ask

PATIENCE_SECONDS = 60.0


class Runs:
    """Old runs, trials among them; MLflow keeps what it calls deleted until `mlflow gc`."""

    kind = Kind.RUN

    async def find(self, at: Workplace) -> list[Item]:
        """Runs that ended long ago and made no bundle.

        Raises
        ------
        TrackingUnavailableError
        """
        days = at.settings.kept_run_days
        before = int(at.days_ago(days).timestamp() * 1000)
        runs = await _ask(at, "old_runs", before=before)
        return [Item(Kind.RUN, run["id"], f"{run['name']}, ended {_day(run['ended'])}, no bundle") for run in runs]

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Have MLflow mark them as deleted.

        Raises
        ------
        TrackingUnavailableError
        """
        if items:
            await _ask(at, "delete_runs", run_ids=[item.name for item in items])
        return list(items)


async def _ask(at: Workplace, op: str, **arguments: Any) -> Any:
    tracker = tracker_of(at.settings)
    if tracker is None:
        return []
    return await asyncio.to_thread(ask, tracker, op, timeout_seconds=PATIENCE_SECONDS, **arguments)


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
