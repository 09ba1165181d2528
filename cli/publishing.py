"""From the store to the API: serving windows, published as the worker does it."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from cli.progress import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.config import Settings
    from data_pipeline.processing.quality import QualityReport
    from data_pipeline.run_pipeline import CollectSummary
    from data_pipeline.serving_window import DataVersion
    from data_pipeline.storage.feature_store import FeatureStore

WINDOWS_AT_ONCE = 25  # a window is some 60 kB; a transaction of these stays far below the statement deadline


def publish(settings: Settings, store: FeatureStore, summary: CollectSummary, kept: Sequence[str] = ()) -> int:
    """Publish the windows of every ticker that did not fail, and of those ``kept`` as stored; gives their number.

    ``settings`` name a database.
    """
    version = summary.data_version
    tickers = [*kept, *(result.ticker for result in summary.results if result.error is None)]
    if not tickers or version is None:
        return 0
    reports = store.quality.read(version.version, kept) if kept else []
    reports += [result.quality for result in summary.results if result.quality is not None]
    return asyncio.run(_publish(settings, store, version, tickers, {report.ticker: report for report in reports}))


async def _publish(
    settings: Settings,
    store: FeatureStore,
    version: DataVersion,
    tickers: Sequence[str],
    reports: Mapping[str, QualityReport],
) -> int:
    from app.features.market_data.service import publish_windows
    from app.supervisor.one_session import one_session
    from data_pipeline.publishing import build_serving_windows

    done = 0
    async with one_session(settings) as db:
        with counted("Publishing") as progress:
            windows = build_serving_windows(store, tickers, data_version=version, final_after=settings.final_after)
            while batch := list(islice(windows, WINDOWS_AT_ONCE)):
                told = {w.ticker: reports[w.ticker].to_dict() for w in batch if w.ticker in reports}
                await publish_windows(db, batch, told)
                done += len(batch)
                progress(done, len(tickers), batch[-1].ticker)
    return done
