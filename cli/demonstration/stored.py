"""What is stored already: asked of PostgreSQL, so that nothing heavy is imported for it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime

from app.config import Settings


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


def champion_kind(settings: Settings) -> str | None:
    """Why the champion is champion: `reference` on an installation where nothing was promoted yet."""
    return asyncio.run(_champion_kind(settings))


async def _champion_kind(settings: Settings) -> str | None:
    from app.features.registry import crud
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        ledger = await crud.newest_promotions(db, limit=1)
    return ledger[0].kind if ledger else None
