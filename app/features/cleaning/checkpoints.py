"""Checkpoints of trainings that broke off and that nobody went on with."""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.features.cleaning.items import Item, Kind, Workplace, size_of
from ml_lifecycle.training.checkpoint import CHECKPOINT


class Checkpoints:
    """Folders of unfinished trainings; finished ones stay, since a bundle can be made of them without training."""

    kind = Kind.CHECKPOINT

    async def find(self, at: Workplace) -> list[Item]:
        """Unfinished ones in which nothing was written of late."""
        return await asyncio.to_thread(_find, at)

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Delete those that still are such."""
        still = {item.name for item in await self.find(at)}
        old = [item for item in items if item.name in still]
        for item in old:
            await asyncio.to_thread(shutil.rmtree, item.name, ignore_errors=True)
        return old


def _find(at: Workplace) -> list[Item]:
    days = at.settings.kept_checkpoint_days
    why = f"unfinished, and nobody went on for {days} days"
    folders = sorted(path for path in (at.settings.home / "checkpoints").glob("*") if path.is_dir())
    return [
        Item(Kind.CHECKPOINT, str(folder), why, size_of(folder))
        for folder in folders
        if not (folder / CHECKPOINT).exists() and _written_at(folder) < at.days_ago(days)
    ]


def _written_at(folder: Path) -> datetime:
    """When something in a folder was last written."""
    newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    return datetime.fromtimestamp(newest, UTC)
