"""Windows from the worker to the API, and what is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data import crud
from app.models.serving_window import ServingWindowRow
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion, ServingWindow


async def publish_windows(
    db: AsyncSession,
    windows: Sequence[ServingWindow],
    reports: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Hand windows to the API and commit: from then on they are what forecasts are made from.

    ``reports`` holds the quality report of each collected ticker, kept with the windows' data version.
    """
    if not windows:
        return
    tickers = [window.ticker for window in windows]
    for version in {window.data_version: None for window in windows}:
        await record_version(db, version, reports or {})
    await crud.upsert_windows(db, windows)
    await crud.forget_failures(db, tickers)
    await crud.notify_windows(db, tickers)
    await db.commit()


async def record_version(db: AsyncSession, version: DataVersion, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep one data version and its quality reports; the caller commits."""
    await crud.add_data_version(db, version, reports)


def bars_of(row: ServingWindowRow) -> BarArrays:
    """The bars of a window that was read with them."""
    return BarArrays(
        trading_day=row.trading_day,
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        adj_close=row.adj_close,
        volume=row.volume,
    )
