"""Bundles that answer beside the champion: the newest network that reads closes alone, and those asked for by name.

A client who sends closes only cannot be answered by a champion that reads whole bars. The network that then answers is
chosen by one rule, and each such answer names it: the newest registered one that forecasts from 60 closes, loads, and
is not past its hard age. The gate has not compared it with anything.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import Integer, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.bounded_cache import BoundedCache
from app.features.registry.champion import Champion
from app.features.registry.errors import BundleNotFoundError
from app.models.promotion import BundleRow
from data_pipeline.processing.lstm_preprocessor import InputKind
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import BundleKind

logger = logging.getLogger(__name__)

CLOSES_NETWORK, ASKED_FOR = "closes_network", "asked_for"  # told as `promotion`: nobody promoted them
CLOSES_PROMISED = 60  # so many always suffice
CANDIDATES = 5  # newest closes networks tried, one after the other
KEPT = 3  # loaded bundles; some tens of megabytes each
REFUSAL_BELIEVED_SECONDS = 60.0  # files may still be on their way to this machine


class BundleShelf:
    """Loads a registered bundle when it is first asked for; one per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: BoundedCache[str, Champion] = BoundedCache(KEPT)
        self._refused: BoundedCache[str, tuple[float, BundleRefusedError]] = BoundedCache(CANDIDATES * KEPT)
        self._loading = asyncio.Lock()

    async def closes_network(self, db: AsyncSession, now: datetime) -> Champion | None:
        """What answers closes that the champion cannot read; None where nothing of the kind is registered and loads."""
        oldest = now - timedelta(days=self._settings.model_hard_age_days)
        candidates = await closes_networks(db, made_after=oldest)
        await db.commit()  # the connection goes back to the pool: nobody waits for files with one
        for row in candidates:
            try:
                return await self._take(row, CLOSES_NETWORK)
            except BundleRefusedError:
                continue
        return None

    async def find(self, db: AsyncSession, bundle_id: str) -> Champion:
        """One registered bundle by its id.

        Raises
        ------
        BundleNotFoundError : none of this id is registered.
        BundleRefusedError : it is registered, and what lies in its folder is not loaded.
        """
        row = await db.get(BundleRow, bundle_id)
        await db.commit()  # as above
        if row is None:
            raise BundleNotFoundError(bundle_id)
        return await self._take(row, ASKED_FOR)

    async def _take(self, row: BundleRow, promotion: str) -> Champion:
        async with self._loading:
            key = f"{promotion} {row.id}"
            if (known := self._loaded.get(key)) is not None:
                return known
            when, refusal = self._refused.get(row.id) or (0.0, None)
            if refusal is not None and monotonic() - when < REFUSAL_BELIEVED_SECONDS:
                raise refusal
            try:
                bundle = await asyncio.to_thread(
                    load_bundle, self._settings.bundles / row.id, self._settings.inference_engine
                )
            except BundleRefusedError as error:
                logger.warning("bundle %s stays out: %s", row.id, error.reason)
                self._refused.put(row.id, (monotonic(), error))
                raise
            taken = Champion(bundle, BundleForecaster(bundle), promotion, row.registered_at)
            self._loaded.put(key, taken)
            return taken


async def closes_networks(db: AsyncSession, *, made_after: datetime) -> Sequence[BundleRow]:
    """Registered networks that forecast from so many closes as are promised to suffice, newest first."""
    manifest = BundleRow.manifest
    newest = (
        select(BundleRow)
        .where(
            BundleRow.kind == BundleKind.NETWORK.value,
            BundleRow.created_at > made_after,
            manifest["input_kind"].astext == InputKind.CLOSES.value,
            manifest["history_needed"].astext.cast(Integer) <= CLOSES_PROMISED,
        )
        .order_by(BundleRow.registered_at.desc(), BundleRow.id)
        .limit(CANDIDATES)
    )
    return (await db.scalars(newest)).all()
