"""The truth about forecasts: scored when their bars are final, learnt from, summed up, and sealed against changes."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.core.paging import page_of
from app.features.market_data.errors import TickerNotStoredError
from app.features.track_record import crud, ticker_crud
from app.features.track_record.chain import chain_head, seal_days
from app.features.track_record.figures import INSIDE, day_sums, pinball_skill, refresh_figures, relative_mae
from app.features.track_record.schemas import (
    ChainHeadRead,
    FiguresRead,
    Kind,
    OutcomeVersion,
    StepScoreRead,
    TickerRecordRead,
    TickerTrackRecordRead,
    TrackRecordRead,
    Window,
    figures_read,
)
from app.features.track_record.windows import day_before, days_of
from app.models.score import Score
from app.schemas.page import Page
from ml_lifecycle.export.manifest import HORIZONS
from ml_lifecycle.monitoring.live_figures import live_figures

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredRun:
    """What one scoring run did.

    Attributes
    ----------
    scored, void : steps that got their row in this run.
    taught : adaptive states that learnt from them.
    by_bundle : scored steps of each bundle.
    sealed : days that were added to the hash chain.
    """

    scored: int
    void: int
    taught: int
    by_bundle: dict[str, int]
    sealed: int


async def score_final_steps(tools: WorkerTools) -> ScoredRun:
    """Seal what is over, score every frozen step whose bar is final, once; adaptive states and figures follow.

    Repeating it, or running it in two workers at once, scores nothing twice. Worker and command line only: it reads
    calendars and, where runs were missed, past data versions.
    """
    from app.features.track_record.scoring_run import score_open_steps

    sealed = await seal_days(tools)  # first: whoever finds a day unsealed that was scored after it knows why
    counted = await score_open_steps(tools)
    await refresh_figures(tools, counted.changed)
    logger.info("%d steps scored, %d void, %d states taught", counted.scored, counted.void, counted.taught)
    return ScoredRun(counted.scored, counted.void, counted.taught, dict(counted.by_bundle), sealed)


@dataclass(frozen=True)
class RecordWish:
    """Which part of the track record is asked for; ``horizon`` None: figures at every one, tickers at the first."""

    window: Window
    horizon: int | None
    bundle_id: str | None
    cursor: str | None
    limit: int


async def track_record(
    db: AsyncSession, wish: RecordWish, *, served_bundle_id: str | None, now: datetime
) -> TrackRecordRead:
    """Figures as the newest scoring run left them, and one page of tickers."""
    rows = await crud.figures_of(db, days=days_of(wish.window), bundle_id=wish.bundle_id, horizon=wish.horizon)
    figures = [figures_read(_kind(row.kind), row.bundle_id, row.horizon, wish.window, row.figures) for row in rows]
    horizon = wish.horizon or HORIZONS[0]
    return TrackRecordRead(
        served_bundle_id=served_bundle_id,
        computed_at=max((row.computed_at for row in rows), default=None),
        live=[each for each in figures if each.kind == "live"],
        hindcasts=[each for each in figures if each.kind == "hindcast"],
        chain=await _chain(db),
        horizon=horizon,
        tickers=await _tickers(db, wish, horizon, now),
    )


async def ticker_track_record(
    db: AsyncSession, ticker: str, *, window: Window, horizon: int | None, now: datetime
) -> TickerTrackRecordRead:
    """Figures of one ticker, worked out now.

    Raises
    ------
    TickerNotStoredError : nothing was ever forecast of it.
    """
    steps = HORIZONS if horizon is None else (horizon,)
    rows = await ticker_crud.ticker_days(db, ticker, after=day_before(window, now), steps=steps)
    if not rows and not await ticker_crud.has_forecasts(db, ticker):
        raise TickerNotStoredError(ticker)
    levels = {bundle_id: await crud.bundle_levels(db, bundle_id) for bundle_id in {row["bundle_id"] for row in rows}}
    chain = await _chain(db)
    await db.commit()  # no connection is held while figures are worked out
    figures = await asyncio.to_thread(_figures_of, rows, levels, window)
    return TickerTrackRecordRead(
        ticker=ticker,
        live=[each for each in figures if each.kind == "live"],
        hindcasts=[each for each in figures if each.kind == "hindcast"],
        chain=chain,
    )


async def scores_of(db: AsyncSession, forecast_id: UUID) -> list[StepScoreRead]:
    """What came of a forecast so far, by step."""
    return [_score_read(row) for row in await crud.scores_of(db, forecast_id)]


async def _chain(db: AsyncSession) -> ChainHeadRead | None:
    head = await chain_head(db)
    return None if head is None else ChainHeadRead(day=head.day, head=head.head.hex())


async def _tickers(db: AsyncSession, wish: RecordWish, horizon: int, now: datetime) -> Page[TickerRecordRead]:
    rows = await ticker_crud.ticker_page(
        db, step=horizon, after_day=day_before(wish.window, now), after=wish.cursor, limit=wish.limit + 1
    )
    return page_of(rows, wish.limit, item=ticker_read, cursor=lambda last: last.ticker)


def ticker_read(row: RowMapping) -> TickerRecordRead:
    """One ticker's sums, as ``ticker_crud.records_of`` gives them, as figures."""
    n = row["n"]
    return TickerRecordRead(
        ticker=row["ticker"],
        forecasts=row["forecasts"],
        scored=n,
        relative_mae=relative_mae(row),
        pinball_skill=pinball_skill(row),
        coverage={name.removeprefix("inside_"): row[name] / n for name in INSIDE} if n else {},
        directional_accuracy=row["direction_hits"] / row["directions"] if row["directions"] else None,
        newest_outcome=row["newest_outcome"],
    )


def _figures_of(rows: Sequence[RowMapping], levels: dict[str, tuple[float, ...]], window: Window) -> list[FiguresRead]:
    """By kind, bundle and horizon."""
    found = []
    for (kind, bundle_id, step), days in groupby(rows, key=lambda row: (row["kind"], row["bundle_id"], row["step"])):
        figures = live_figures(day_sums(list(days)), horizon=step, levels=levels[bundle_id], source=kind)
        found.append(figures_read(kind, bundle_id, step, window, figures.to_dict()))
    return found


def _kind(kind: str) -> Kind:
    return "live" if kind == "live" else "hindcast"


def _score_read(row: Score) -> StepScoreRead:
    flags = {name.removeprefix("inside_"): name for name in INSIDE}
    return StepScoreRead(
        step=row.step,
        status="void" if row.log_return is None else "scored",
        trading_day=row.trading_day,
        data_version=OutcomeVersion(table_id=row.data_table_id, version=row.data_version),
        log_return=row.log_return,
        absolute_error=row.absolute_error,
        naive_absolute_error=row.naive_absolute_error,
        pinball=row.pinball,
        naive_pinball=row.naive_pinball,
        direction_hit=row.direction_hit,
        inside={level: getattr(row, name) for level, name in flags.items()},
        naive_inside={level: getattr(row, f"naive_{name}") for level, name in flags.items()},
        scored_at=row.scored_at,
    )
