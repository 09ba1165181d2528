"""Rows of the defaults; the caller commits."""

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.training_job import TrainingDefaults


async def find_defaults(db: AsyncSession, version: int | None = None) -> TrainingDefaults | None:
    """One version of the defaults, or the newest; None where there is none."""
    if version is not None:
        return await db.get(TrainingDefaults, version)
    return await db.scalar(select(TrainingDefaults).order_by(TrainingDefaults.version.desc()).limit(1))


async def lock_defaults(db: AsyncSession) -> None:
    """Wait until nobody else changes them: a part is changed of what was read, and the newest must be that."""
    await db.execute(text("LOCK TABLE training_defaults IN SHARE ROW EXCLUSIVE MODE"))


async def add_defaults(db: AsyncSession, content: dict[str, Any], *, by: str) -> TrainingDefaults:
    """Append a version."""
    row = TrainingDefaults(content=content, changed_by=by)
    db.add(row)
    await db.flush()
    await db.refresh(row)
    return row
