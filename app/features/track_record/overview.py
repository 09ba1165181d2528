"""All tickers in one table, the reliability of the quantiles, and errors against the naive over time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.core.csv_answers import csv_answer
from app.features.track_record import overview_crud
from app.features.track_record.figures import INSIDE, pinball_skill, relative_mae
from app.features.track_record.overview_schemas import (
    CalibrationCurveRead,
    ErrorsOverTimeRead,
    Period,
    PeriodErrorsRead,
    ReliabilityRead,
    Sort,
)
from app.features.track_record.schemas import Kind, TickerRecordRead, Window
from app.features.track_record.service import ticker_read
from app.features.track_record.windows import day_before
from app.schemas.page import Page

MOST_OUTCOMES = 20_000  # of which a share is known to half a percent
FIGURES = ("forecasts", "scored", "relative_mae", "pinball_skill", "directional_accuracy", "newest_outcome")
COVERAGES = tuple(name.removeprefix("inside_") for name in INSIDE)
CSV_HEADER = (
    "ticker",
    "kind",
    "horizon",
    "window",
    "forecasts",
    "scored",
    "relative_mae_to_naive",
    "pinball_skill_over_naive",
    "directional_accuracy",
    "newest_outcome",
    *(f"coverage_{level}" for level in COVERAGES),
)


@dataclass(frozen=True)
class TableWish:
    """Which tickers' figures are asked for, and in which order."""

    kind: Kind
    window: Window
    horizon: int
    sort: Sort
    descending: bool


async def ticker_table(
    db: AsyncSession, wish: TableWish, *, offset: int, limit: int, now: datetime
) -> Page[TickerRecordRead]:
    """One page of all stored tickers, in the order asked for; the cursor is the number of those before."""
    items = await _records(db, wish, now=now, offset=offset, limit=limit + 1)
    following = str(offset + limit) if len(items) > limit else None
    return Page(items=items[:limit], next_cursor=following)


async def ticker_csv(db: AsyncSession, wish: TableWish, *, now: datetime) -> Response:
    """The whole table, to be saved."""
    items = await _records(db, wish, now=now)
    name = f"closecast-track-record-{wish.kind}-{wish.horizon}-{wish.window}"
    return csv_answer(CSV_HEADER, [_cells(item, wish) for item in items], name=name)


async def _records(
    db: AsyncSession, wish: TableWish, *, now: datetime, offset: int = 0, limit: int | None = None
) -> list[TickerRecordRead]:
    rows = await overview_crud.ticker_records(
        db,
        kind=wish.kind,
        step=wish.horizon,
        after_day=day_before(wish.window, now),
        sort=wish.sort,
        descending=wish.descending,
        offset=offset,
        limit=limit,
    )
    return [ticker_read(row) for row in rows]


def _cells(item: TickerRecordRead, wish: TableWish) -> list[object]:
    coverages = [item.coverage.get(level) for level in COVERAGES]
    figures = [getattr(item, name) for name in FIGURES]
    return [item.ticker, wish.kind, wish.horizon, wish.window, *figures, *coverages]


async def calibration(
    db: AsyncSession, *, window: Window, horizon: int, bundle_id: str | None, now: datetime
) -> CalibrationCurveRead:
    """How often outcomes were at or below each quantile, of the newest forecasts that have one."""
    after = day_before(window, now)
    rows = await overview_crud.reached_quantiles(db, step=horizon, after=after, bundle_id=bundle_id, most=MOST_OUTCOMES)
    levels = [_reliability(row) for row in rows]
    return CalibrationCurveRead(horizon=horizon, window=window, most=MOST_OUTCOMES, levels=levels)


def _reliability(row: RowMapping) -> ReliabilityRead:
    return ReliabilityRead(
        kind=row["kind"],
        level=row["level"],
        observed=row["reached"] / row["n"],
        n=row["n"],
        naive_observed=row["naive_reached"] / row["naive_n"] if row["naive_n"] else None,
        naive_n=row["naive_n"],
    )


async def errors_over_time(
    db: AsyncSession, *, window: Window, horizon: int, bundle_id: str | None, by: Period, now: datetime
) -> ErrorsOverTimeRead:
    """Errors of each week or month of outcomes beside the naive's."""
    after = day_before(window, now)
    rows = await overview_crud.sums_by_period(db, step=horizon, after=after, bundle_id=bundle_id, by=by)
    return ErrorsOverTimeRead(horizon=horizon, window=window, by=by, periods=[_errors(row) for row in rows])


def _errors(row: RowMapping) -> PeriodErrorsRead:
    n = row["n"]
    return PeriodErrorsRead(
        kind=row["kind"],
        start=row["start"],
        scored=n,
        mae=row["absolute_error"] / n if n else None,
        naive_mae=row["naive_absolute_error"] / n if n else None,
        relative_mae=relative_mae(row),
        pinball_skill=pinball_skill(row),
    )
