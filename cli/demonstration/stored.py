"""What is stored already: asked of PostgreSQL, so that nothing heavy is imported for it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from app.config import Settings

if TYPE_CHECKING:
    from app.models.promotion import Promotion


@dataclass(frozen=True)
class StoredWindow:
    """A ticker's newest published window; ``too_old``: the API refuses it until newer bars come."""

    source: str
    live: bool
    cutoff: date
    too_old: bool


def find_window(settings: Settings, ticker: str) -> StoredWindow | None:
    """The newest window of ``ticker``, if one was ever published."""
    return asyncio.run(_find_window(settings, ticker))


async def _find_window(settings: Settings, ticker: str) -> StoredWindow | None:
    from app.features.market_data import crud
    from app.features.market_data.windows import missing_days
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        row = await crud.find_window(db, ticker)
    if row is None:
        return None
    missing = missing_days(row.known_at, datetime.now(UTC))
    return StoredWindow(row.source, row.live, row.cutoff, row.live and missing > settings.stale_after_days)


def newest_promotion(settings: Settings) -> "Promotion | None":
    """The newest line of the ledger: who is champion, and who decided so."""
    return asyncio.run(_newest_promotion(settings))


async def _newest_promotion(settings: Settings) -> "Promotion | None":
    from app.features.registry import crud
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        ledger = await crud.newest_promotions(db, limit=1)
    return ledger[0] if ledger else None
