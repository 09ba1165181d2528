"""Files of the store of bars that only old data versions need."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from app.features.cleaning import crud
from app.features.cleaning.items import Item, Kind, Workplace
from data_pipeline.storage.feature_store import FeatureStore


class Bars:
    """Delta's own vacuum, with the versions to keep: those of late, and every one that something names."""

    kind = Kind.BARS

    async def find(self, at: Workplace) -> list[Item]:
        """Files that the vacuum would delete, by their paths in the store."""
        days = at.settings.kept_data_version_days
        why = f"only data versions over {days} days old need it, and nothing names them"
        return [Item(Kind.BARS, path, why) for path in await self._vacuum(at, dry_run=True)]

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Vacuum; what came to be named meanwhile stays."""
        if not items:
            return []
        deleted = set(await self._vacuum(at, dry_run=False))
        return [item for item in items if item.name in deleted]

    async def _vacuum(self, at: Workplace, *, dry_run: bool) -> list[str]:
        named = await crud.named_data_versions(at.db)
        await at.db.commit()
        return await asyncio.to_thread(_vacuum, at, named, dry_run=dry_run)


def _vacuum(at: Workplace, named: set[int], *, dry_run: bool) -> list[str]:
    store = FeatureStore(at.settings.bars_uri, at.settings.store_options)
    days = at.settings.kept_data_version_days
    kept = {*named, *store.versions_since(at.days_ago(days))}
    return sorted(store.vacuum(kept, retention=timedelta(days=days), dry_run=dry_run))
