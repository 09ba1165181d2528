"""From the store to the API: serving windows, published as the worker does it."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from cli.progress import counted

if TYPE_CHECKING:
    from app.config import Settings
    from data_pipeline.run_pipeline import CollectSummary
    from data_pipeline.storage.feature_store import FeatureStore

WINDOWS_AT_ONCE = 25  # a window is some 60 kB; a transaction of these stays far below the statement deadline


def publish(settings: Settings, store: FeatureStore, summary: CollectSummary) -> int:
    """Publish the windows of every ticker that did not fail; gives their number.

    ``settings`` name a database.
    """
    collected = [result for result in summary.results if result.error is None]
    if not collected or summary.data_version is None:
        return 0
    return asyncio.run(_publish(settings, store, summary))


async def _publish(settings: Settings, store: FeatureStore, summary: CollectSummary) -> int:
    from app.features.market_data.service import publish_windows
    from app.supervisor.one_session import one_session
    from data_pipeline.publishing import build_serving_windows

    tickers = [result.ticker for result in summary.results if result.error is None]
    reports = {result.ticker: result.quality.to_dict() for result in summary.results if result.quality is not None}
    done = 0
    async with one_session(settings) as db:
        with counted("Publishing") as progress:
            windows = build_serving_windows(
                store, tickers, data_version=summary.data_version, final_after=settings.final_after
            )
            while batch := list(islice(windows, WINDOWS_AT_ONCE)):
                await publish_windows(db, batch, {w.ticker: reports[w.ticker] for w in batch if w.ticker in reports})
                done += len(batch)
                progress(done, len(tickers), batch[-1].ticker)
    return done
