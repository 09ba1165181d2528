"""Bundles that were never champion, shadow or challenger, and that no forecast waits to be scored for."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from app.features.cleaning import crud
from app.features.cleaning.items import Item, Kind, Workplace, size_of
from app.features.registry.shelf import closes_networks

GOING = ".deleting-"  # what a bundle's folder is called from the moment on that it is none any more


class Bundles:
    """Folders of bundles that nothing refers to; their rows stay, and say when the folder was deleted.

    The row is marked first, then the folder renamed, then deleted: whatever breaks off in between is found here again.
    """

    kind = Kind.BUNDLE

    async def find(self, at: Workplace) -> list[Item]:
        """Old bundles without a reference, and those whose deletion broke off."""
        days, folder = at.settings.kept_bundle_days, at.settings.bundles
        oldest_served = at.days_ago(at.settings.model_hard_age_days)
        answering = {row.id for row in await closes_networks(at.db, made_after=oldest_served)}
        old = [
            _item(folder, bundle_id, f"registered {registered_at:%Y-%m-%d}, over {days} days ago; nothing refers to it")
            for bundle_id, registered_at in await crud.unreferenced_bundles(at.db, at.days_ago(days))
            if bundle_id not in answering
        ]
        marked = [each for each in await crud.marked_bundles(at.db) if _place(folder, each) is not None]
        return [*old, *(_item(folder, each, "its deletion broke off") for each in sorted(marked))]

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Mark and delete, one after the other."""
        return [item for item in items if await self._remove_one(at, item.name)]

    async def _remove_one(self, at: Workplace, bundle_id: str) -> bool:
        before = at.days_ago(at.settings.kept_bundle_days)
        marked = await crud.mark_deleted(at.db, bundle_id, before)
        await at.db.commit()
        gone = await crud.lock_marked(at.db, bundle_id)
        folder, going = at.settings.bundles / bundle_id, at.settings.bundles / f"{GOING}{bundle_id}"
        if gone and folder.is_dir():
            folder.rename(going)
        await at.db.commit()
        await asyncio.to_thread(shutil.rmtree, going, ignore_errors=True)
        return marked or gone


def _item(folder: Path, bundle_id: str, why: str) -> Item:
    place = _place(folder, bundle_id)
    return Item(Kind.BUNDLE, bundle_id, why, None if place is None else size_of(place))


def _place(folder: Path, bundle_id: str) -> Path | None:
    """Where a bundle's files lie, if they do: under its name, or on their way out."""
    return next((each for each in (folder / bundle_id, folder / f"{GOING}{bundle_id}") if each.is_dir()), None)
