"""Windows from the worker to the API, and what is stored."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.paging import page_of
from app.features.market_data import crud
from app.features.market_data.errors import DataVersionNotFoundError, TickerNotStoredError
from app.features.market_data.schemas import BarRead, BarsRead, DataVersionRead, QualityRead, TickerRead
from app.models.serving_window import ServingWindowRow
from app.schemas.page import Page
from data_pipeline.errors import NothingStoredError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import MarketInputs, ServingWindow, with_market


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
        await crud.add_data_version(db, version, reports or {})
    await crud.upsert_windows(db, windows)
    await crud.forget_failures(db, tickers)
    await crud.notify_windows(db, tickers)
    await db.commit()


async def not_settled(db: AsyncSession, tickers: Sequence[str], asked_at: datetime) -> list[str]:
    """Those of ``tickers`` without a window published since ``asked_at`` and without a known reason for having none."""
    settled = await crud.settled_tickers(db, tickers, asked_at)
    return [ticker for ticker in tickers if ticker not in settled]


async def database_clock(db: AsyncSession) -> datetime:
    """This instant, by the one clock that all processes share."""
    return await crud.database_clock(db)


async def is_kept(db: AsyncSession, ticker: str, as_of: date) -> bool:
    """Whether the window of a past day was built before."""
    return await crud.find_window(db, ticker, as_of=as_of) is not None


async def drop_kept_windows(db: AsyncSession, built_before: datetime) -> None:
    """Delete windows of past days that were built before an instant, and commit; frozen forecasts stay."""
    await crud.delete_kept_windows(db, built_before)
    await db.commit()


async def live_exchanges(db: AsyncSession) -> Sequence[str]:
    """Exchanges of which tickers are stored that a live source keeps up to date."""
    return await crud.live_exchanges(db)


async def live_tickers_behind(db: AsyncSession, newest_days: Mapping[str, date]) -> list[str]:
    """Live tickers whose window ends before the newest day of their exchange, in alphabetical order."""
    return [
        ticker
        for exchange, newest_day in newest_days.items()
        for ticker in await crud.live_tickers_before(db, exchange, newest_day)
    ]


async def require_stored(db: AsyncSession, tickers: Sequence[str]) -> None:
    """Raise TickerNotStoredError for the first of ``tickers`` of which no bars are stored."""
    stored = {window.ticker for window in await crud.find_newest_windows(db, tickers)}
    if missing := [ticker for ticker in tickers if ticker not in stored]:
        raise TickerNotStoredError(missing[0])


async def require_bars(db: AsyncSession, tickers: Sequence[str]) -> None:
    """``require_stored``; NothingStoredError where none is named, which means all, and nothing is stored."""
    await require_stored(db, tickers)
    if not tickers and await crud.newest_day(db, tickers) is None:
        raise NothingStoredError


async def require_version(db: AsyncSession, version: int | None) -> None:
    """Raise DataVersionNotFoundError where windows were never published from this data version; None is the newest."""
    if version is not None and not await crud.has_version(db, version):
        raise DataVersionNotFoundError(version)


async def newest_day(db: AsyncSession, tickers: Sequence[str]) -> date | None:
    """The day of the newest bar of any of these tickers, of all where none is named; None where nothing is stored."""
    return await crud.newest_day(db, tickers)


async def read_window(db: AsyncSession, ticker: str, *, as_of: date | None = None) -> ServingWindowRow:
    """The newest window of a ticker, or the one kept for ``as_of``, with its bars.

    Raises
    ------
    TickerNotStoredError
    """
    window = await crud.find_window_with_bars(db, ticker, as_of=as_of)
    if window is None:
        raise TickerNotStoredError(ticker)
    return window


def bars_of(row: ServingWindowRow) -> BarArrays:
    """The bars of a window that was read with them, and its market."""
    market, mean, mean_size = None, row.market_mean_return, row.market_mean_absolute_return
    if row.market_universe is not None and mean is not None and mean_size is not None:
        market = MarketInputs(row.market_universe, mean, mean_size)
    bars = BarArrays(
        trading_day=row.trading_day,
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        adj_close=row.adj_close,
        volume=row.volume,
    )
    return with_market(bars, market)


async def list_tickers(db: AsyncSession, *, starts_with: str = "", cursor: str | None, limit: int) -> Page[TickerRead]:
    """One page of the stored tickers, or of those that begin with ``starts_with``."""
    rows = await crud.list_newest_windows(db, starts_with=starts_with, after=cursor, limit=limit + 1)
    return page_of(rows, limit, item=TickerRead.model_validate, cursor=lambda last: last.ticker)


async def read_bars(db: AsyncSession, ticker: str, *, limit: int) -> BarsRead:
    """The newest ``limit`` bars of a ticker.

    Raises
    ------
    TickerNotStoredError
    """
    window = await read_window(db, ticker)
    newest = bars_of(window).last(limit)
    days = newest.trading_day.astype("datetime64[D]").tolist()
    columns = (newest.open, newest.high, newest.low, newest.close, newest.adj_close, newest.volume)
    prices = zip(*(column.tolist() for column in columns), strict=True)
    names = ("open", "high", "low", "close", "adj_close", "volume")
    return BarsRead(
        ticker=window.ticker,
        exchange=window.exchange,
        currency=window.currency,
        source=window.source,
        price_basis=window.price_basis,
        data_version=window.data_version,
        bars=[
            BarRead(trading_day=day, **dict(zip(names, row, strict=True)))
            for day, row in zip(days, prices, strict=True)
        ],
    )


async def list_versions(db: AsyncSession, *, limit: int) -> list[DataVersionRead]:
    """The newest data versions."""
    return [DataVersionRead.model_validate(row) for row in await crud.list_versions(db, limit=limit)]


async def list_quality(db: AsyncSession, *, cursor: str | None, limit: int) -> Page[QualityRead]:
    """One page of the newest quality report of each ticker."""
    rows = await crud.list_newest_reports(db, after=cursor, limit=limit + 1)
    return page_of(rows, limit, item=QualityRead.model_validate, cursor=lambda last: last.ticker)


def row_of(window: ServingWindow) -> ServingWindowRow:
    """A window as its row would read, kept nowhere."""
    return ServingWindowRow(**crud.values_of(window))
