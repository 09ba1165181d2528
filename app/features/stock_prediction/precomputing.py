"""After a close the worker makes the next forecasts of everything that is stored, many in one pass of the network."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from app.core.jobs import WorkerTools
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.errors import NoChampionError
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import many_forecast_values
from app.features.track_record.learning import alphas_in_use
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import ClosecastError

logger = logging.getLogger(__name__)

AT_A_TIME = 512  # windows in one pass of the network: about 40 MB with their bars
ROWS = 64  # in one statement and one commit: on a busy machine, too, far within the deadline of a statement


async def precompute_forecasts(tools: WorkerTools) -> int:
    """Freeze the champion's forecast of each newest window that has none yet, and give their number.

    It is the forecast that the first asking would have frozen; where somebody asks meanwhile, the first of the two
    stays.
    """
    champion = await _serving(tools)
    if champion is None:
        return 0
    frozen, after = 0, ""
    while windows := await _lacking(tools, champion, after):
        frozen += await _freeze(tools, champion, windows)
        after = windows[-1].ticker
    return frozen


async def _serving(tools: WorkerTools) -> Champion | None:
    """What an API process would serve now."""
    holder = ChampionHolder(tools.sessions, tools.settings)
    await holder.reload()
    try:
        return holder.serving(tools.clock())
    except NoChampionError as error:
        logger.warning("no forecasts are made ahead: %s", error)
        return None


async def _lacking(tools: WorkerTools, champion: Champion, after: str) -> list[ServingWindowRow]:
    """The next windows in alphabetical order, up to ``AT_A_TIME``."""
    found: list[ServingWindowRow] = []
    now = tools.clock()
    async with tools.sessions() as db:
        while len(found) < AT_A_TIME:
            wanted = min(ROWS, AT_A_TIME - len(found))
            page = await crud.windows_without_forecast(db, champion.bundle_id, now=now, after=after, limit=wanted)
            found += page
            if len(page) < wanted:
                break
            after = page[-1].ticker
    return found


async def _freeze(tools: WorkerTools, champion: Champion, windows: Sequence[ServingWindowRow]) -> int:
    async with tools.sessions() as db:
        alphas = await alphas_in_use(db, champion.bundle, [window.ticker for window in windows])
    made = await asyncio.to_thread(many_forecast_values, champion, windows, tools.clock(), alphas)
    sound: list[dict[str, Any]] = []
    for window, values in zip(windows, made, strict=True):
        if isinstance(values, ClosecastError):
            logger.debug("%s has no forecast of %s: %s", champion.bundle_id[:12], window.ticker, values)
        else:
            sound.append(values)
    async with tools.sessions() as db:
        for first in range(0, len(sound), ROWS):
            await crud.freeze_forecasts(db, sound[first : first + ROWS])
            await db.commit()
    return len(sound)
