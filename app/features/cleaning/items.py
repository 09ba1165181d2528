"""What the clean-up deletes: found first, so that it can be shown, then removed as found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings


class Kind(StrEnum):
    """What there is to clean up."""

    BUNDLE = "bundle"
    BARS = "bars"
    RUN = "run"
    JOB_EVENTS = "job_events"
    LOG = "log"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Item:
    """One thing to delete.

    Attributes
    ----------
    name : id, path or table.
    why : the rule that it falls under, in words.
    size : bytes that become free; None where that is not known.
    """

    kind: Kind
    name: str
    why: str
    size: int | None = None


@dataclass(frozen=True)
class Workplace:
    """What a rule looks at and works on; ``now`` decides what is old."""

    db: AsyncSession
    settings: Settings
    now: datetime

    def days_ago(self, days: int) -> datetime:
        """The instant before which something is older than ``days``."""
        return self.now - timedelta(days=days)


class Rule(Protocol):
    """One kind of things that become old.

    ``remove`` looks again at each: what has come to be referred to since ``find`` stays, and is left out of its answer.
    """

    kind: Kind

    async def find(self, at: Workplace) -> list[Item]:
        """What falls under the rule now."""

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Delete these; gives those that were."""


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
