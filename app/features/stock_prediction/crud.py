"""Rows of frozen forecasts and of the prediction log; the caller commits."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, undefer_group

from app.models.forecast import Forecast
from app.models.prediction_log import PredictionLogRow
from app.models.serving_window import ServingWindowRow

AskedCutoff = Row[str, date, date | None]  # ticker, cutoff, and the past day that its window was built for, if any

# A logged request; ticker, cutoff, kind and bundle of its forecast, if it has one.
PredictionRow = Row[PredictionLogRow, str | None, date | None, str | None, str | None]


async def find_forecast(db: AsyncSession, bundle_id: str, ticker: str, cutoff: date) -> Forecast | None:
    """The one frozen forecast of a bundle for a ticker after a cutoff."""
    return await db.scalar(
        select(Forecast).where(Forecast.bundle_id == bundle_id, Forecast.ticker == ticker, Forecast.cutoff == cutoff)
    )


async def find_forecasts(
    db: AsyncSession, bundle_id: str, asked: Sequence[tuple[str, date]]
) -> dict[tuple[str, date], Forecast]:
    """The frozen forecasts of a bundle, by ticker and cutoff, of those that are there."""
    key = tuple_(Forecast.ticker, Forecast.cutoff)
    found = await db.scalars(select(Forecast).where(Forecast.bundle_id == bundle_id, key.in_(asked)))
    return {(forecast.ticker, forecast.cutoff): forecast for forecast in found}


async def windows_with_bars(db: AsyncSession, windows: Sequence[ServingWindowRow]) -> Sequence[ServingWindowRow]:
    """The same windows as they stand now, with their bars."""
    wanted = select(ServingWindowRow).where(ServingWindowRow.id.in_([window.id for window in windows]))
    return (await db.scalars(wanted.options(undefer_group("bars")))).all()


async def freeze_forecast(db: AsyncSession, values: Mapping[str, Any]) -> Forecast:
    """Insert a forecast unless there is one already, and read the one that is there."""
    key = (values["bundle_id"], values["ticker"], values["cutoff"])
    await db.execute(
        insert(Forecast)
        .values(**values)
        .on_conflict_do_nothing(index_elements=[Forecast.bundle_id, Forecast.ticker, Forecast.cutoff])
    )
    frozen = await find_forecast(db, *key)
    if frozen is None:
        raise LookupError(f"the forecast {key} was neither inserted nor found")
    return frozen


async def freeze_forecasts(db: AsyncSession, many_values: Sequence[Mapping[str, Any]]) -> None:
    """Insert forecasts, except those that are there already."""
    key = [Forecast.bundle_id, Forecast.ticker, Forecast.cutoff]
    await db.execute(insert(Forecast).on_conflict_do_nothing(index_elements=key), [dict(each) for each in many_values])


async def windows_without_forecast(
    db: AsyncSession, bundle_id: str, *, now: datetime, after: str, limit: int
) -> Sequence[ServingWindowRow]:
    """The newest windows, with their bars, of tickers behind ``after`` whose cutoff a bundle has not forecast yet.

    Without those of a live source whose next trading day has begun: nobody will ask from them for long.
    """
    window = ServingWindowRow
    frozen = exists().where(
        Forecast.bundle_id == bundle_id, Forecast.ticker == window.ticker, Forecast.cutoff == window.cutoff
    )
    lacking = (
        select(window)
        .options(undefer_group("bars"))
        .where(window.as_of.is_(None), window.ticker > after, ~frozen, or_(~window.live, window.opens_at > now))
        .order_by(window.ticker)
        .limit(limit)
    )
    return (await db.scalars(lacking)).all()


async def without_shadow(
    db: AsyncSession,
    champion_id: str,
    shadow_id: str,
    *,
    since: datetime,
    after: tuple[str, date] | None,
    limit: int,
) -> Sequence[AskedCutoff]:
    """Cutoffs that the champion has forecast after since an instant and the shadow has not, by ticker and cutoff.

    Only those whose window is still published as it was; ``after``: only those behind that ticker and cutoff.
    """
    shadow, window = aliased(Forecast), ServingWindowRow
    frozen_too = exists().where(
        shadow.bundle_id == shadow_id, shadow.ticker == Forecast.ticker, shadow.cutoff == Forecast.cutoff
    )
    lacking = (
        select(Forecast.ticker, Forecast.cutoff, func.max(window.as_of).label("as_of"))
        .join(
            window,
            (window.ticker == Forecast.ticker)
            & (window.cutoff == Forecast.cutoff)
            & (window.data_version == Forecast.data_version)
            & (window.data_table_id == Forecast.data_table_id),
        )
        .where(Forecast.bundle_id == champion_id, Forecast.made_at >= since, ~frozen_too)
        .group_by(Forecast.ticker, Forecast.cutoff)
        .order_by(Forecast.ticker, Forecast.cutoff)
        .limit(limit)
    )
    if after is not None:
        lacking = lacking.where(tuple_(Forecast.ticker, Forecast.cutoff) > after)
    return (await db.execute(lacking)).all()


async def find_answered_forecast(db: AsyncSession, forecast_id: UUID, user_id: UUID) -> Forecast | None:
    """A forecast that was answered to this user."""
    answered = exists().where(PredictionLogRow.forecast_id == Forecast.id, PredictionLogRow.user_id == user_id)
    return await db.scalar(select(Forecast).where(Forecast.id == forecast_id, answered))


async def list_predictions(
    db: AsyncSession, user_id: UUID, *, ticker: str | None, limit: int, before: tuple[datetime, UUID] | None
) -> Sequence[PredictionRow]:
    """A user's logged requests with the forecast each was answered with, newest first; of one ticker if given."""
    log = PredictionLogRow
    page = (
        select(log, Forecast.ticker, Forecast.cutoff, Forecast.kind, Forecast.bundle_id)
        .outerjoin(Forecast, Forecast.id == log.forecast_id)
        .where(log.user_id == user_id)
        .order_by(log.answered_at.desc(), log.id.desc())
        .limit(limit)
    )
    if ticker is not None:
        page = page.where(Forecast.ticker == ticker)
    if before is not None:
        page = page.where(tuple_(log.answered_at, log.id) < before)
    return (await db.execute(page)).all()
