"""Rows of scores, of their sums and of what is open; the caller commits."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import RowMapping, Text, column, delete, func, select, text, true, values
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.notifications import SKILL_CHANNEL
from app.models.forecast import Forecast
from app.models.live_skill import LiveSkill
from app.models.market_data import QualityReportRow
from app.models.promotion import BundleRow
from app.models.score import OpenForecast as OpenForecastRow
from app.models.score import Score, ScoreDay, ScoredSeries
from app.models.serving_window import ServingWindowRow
from data_pipeline.processing.bar_arrays import DayArray, FloatArray

LOCK_PAUSE_SECONDS = 0.05  # between attempts: waiting inside PostgreSQL would run into the deadline of a statement

# One statement: a score is counted in its day's sums if and only if it was inserted.
_ADD_SCORES = text(
    """
WITH given AS (
    SELECT * FROM unnest(
        CAST(:forecast_id AS uuid[]), CAST(:step AS smallint[]), CAST(:status AS text[]), CAST(:trading_day AS date[]),
        CAST(:log_return AS float8[]), CAST(:absolute_error AS float8[]), CAST(:naive_absolute_error AS float8[]),
        CAST(:pinball AS float8[]), CAST(:naive_pinball AS float8[]), CAST(:direction_hit AS boolean[]),
        CAST(:inside_50 AS boolean[]), CAST(:inside_80 AS boolean[]), CAST(:inside_90 AS boolean[]),
        CAST(:inside_95 AS boolean[]), CAST(:naive_inside_50 AS boolean[]), CAST(:naive_inside_80 AS boolean[]),
        CAST(:naive_inside_90 AS boolean[]), CAST(:naive_inside_95 AS boolean[])
    ) AS given(forecast_id, step, status, trading_day, log_return, absolute_error, naive_absolute_error, pinball,
        naive_pinball, direction_hit, inside_50, inside_80, inside_90, inside_95,
        naive_inside_50, naive_inside_80, naive_inside_90, naive_inside_95)
), added AS (
    INSERT INTO scores (forecast_id, step, status, trading_day, data_table_id, data_version, log_return, absolute_error,
        naive_absolute_error, pinball, naive_pinball, direction_hit, inside_50, inside_80, inside_90, inside_95,
        naive_inside_50, naive_inside_80, naive_inside_90, naive_inside_95)
    SELECT forecast_id, step, status, trading_day, :data_table_id, :data_version, log_return, absolute_error,
        naive_absolute_error, pinball, naive_pinball, direction_hit, inside_50, inside_80, inside_90, inside_95,
        naive_inside_50, naive_inside_80, naive_inside_90, naive_inside_95
    FROM given ORDER BY forecast_id, step
    ON CONFLICT DO NOTHING
    RETURNING *
), summed AS (
    INSERT INTO score_days AS day (kind, bundle_id, step, trading_day, n, voids, absolute_error, naive_absolute_error,
        pinball, compared, compared_pinball, naive_pinball, directions, direction_hits,
        inside_50, inside_80, inside_90, inside_95)
    SELECT :kind, :bundle_id, step, trading_day, count(log_return), count(*) - count(log_return),
        coalesce(sum(absolute_error), 0), coalesce(sum(naive_absolute_error), 0), coalesce(sum(pinball), 0),
        count(naive_pinball), coalesce(sum(pinball) FILTER (WHERE naive_pinball IS NOT NULL), 0),
        coalesce(sum(naive_pinball), 0), count(direction_hit), count(*) FILTER (WHERE direction_hit),
        count(*) FILTER (WHERE inside_50), count(*) FILTER (WHERE inside_80),
        count(*) FILTER (WHERE inside_90), count(*) FILTER (WHERE inside_95)
    FROM added GROUP BY step, trading_day ORDER BY step, trading_day
    ON CONFLICT (kind, bundle_id, step, trading_day) DO UPDATE SET
        n = day.n + excluded.n, voids = day.voids + excluded.voids,
        absolute_error = day.absolute_error + excluded.absolute_error,
        naive_absolute_error = day.naive_absolute_error + excluded.naive_absolute_error,
        pinball = day.pinball + excluded.pinball, compared = day.compared + excluded.compared,
        compared_pinball = day.compared_pinball + excluded.compared_pinball,
        naive_pinball = day.naive_pinball + excluded.naive_pinball,
        directions = day.directions + excluded.directions,
        direction_hits = day.direction_hits + excluded.direction_hits,
        inside_50 = day.inside_50 + excluded.inside_50, inside_80 = day.inside_80 + excluded.inside_80,
        inside_90 = day.inside_90 + excluded.inside_90, inside_95 = day.inside_95 + excluded.inside_95
)
SELECT forecast_id, step FROM added
"""
)

_STEPS = text(
    """
SELECT array_send(f.log_returns[p.step:p.step]), array_send(f.naive_log_returns[p.step:p.step])
FROM unnest(CAST(:ids AS uuid[]), CAST(:steps AS smallint[])) WITH ORDINALITY AS p(id, step, place)
JOIN forecasts f ON f.id = p.id ORDER BY p.place
"""
)
_ARRAY_HEADER_BYTES = 28  # of a sent array of two dimensions: their number, flags, type, length and bound of each
_SENT_FLOAT = np.dtype([("bytes", ">i4"), ("value", ">f8")])


class Work(IntEnum):
    """What one transaction at a time may do, by the numbers of PostgreSQL's advisory locks."""

    SCORING = 0x53C0_2E00  # what is learnt from outcomes is learnt in their order
    FIGURES = 0x53C0_2E01  # the newest sums give the newest figures
    SEALING = 0x53C0_2E02


class OpenForecast(NamedTuple):
    """A frozen forecast of which not every step has a score.

    ``resolved`` is the last step that has one, 0 at first; ``next_day`` is when the next one was expected; ``adapts``:
    its intervals were moved by the errors of others before it.
    """

    id: UUID
    ticker: str
    kind: str
    bundle_id: str
    cutoff: date
    data_table_id: str
    data_version: int
    made_at: datetime
    resolved: int
    next_day: date
    adapts: bool


class StoredSeries(NamedTuple):
    """A ticker's newest window, without its bars, and the data version that scoring has gone through."""

    ticker: str
    exchange: str
    live: bool
    cutoff: date
    data_table_id: str
    data_version: int
    published_at: datetime
    scored_table_id: str | None
    scored_version: int | None
    scored_at: datetime | None


async def lock_work(db: AsyncSession, work: Work) -> None:
    """Wait until no other transaction is at this work, and hold the others off until this one ends."""
    while not await db.scalar(select(func.pg_try_advisory_xact_lock(work.value))):  # noqa: ASYNC110 (of another process)
        await asyncio.sleep(LOCK_PAUSE_SECONDS)


async def stored_series(db: AsyncSession, *, after: str, limit: int) -> Sequence[StoredSeries]:
    """The next tickers behind ``after`` that have a window, in alphabetical order."""
    window, scored = ServingWindowRow, ScoredSeries
    page = (
        select(
            window.ticker,
            window.exchange,
            window.live,
            window.cutoff,
            window.data_table_id,
            window.data_version,
            window.published_at,
            scored.data_table_id,
            scored.data_version,
            scored.at,
        )
        .outerjoin(scored, scored.ticker == window.ticker)
        .where(window.as_of.is_(None), window.ticker > after)
        .order_by(window.ticker)
        .limit(limit)
    )
    return [StoredSeries._make(row) for row in await db.execute(page)]


async def newest_days(db: AsyncSession) -> dict[tuple[str, bool], date]:
    """By exchange and whether a live source keeps them: the day up to which half of the tickers have bars."""
    window = ServingWindowRow
    middle = func.percentile_disc(0.5).within_group(window.cutoff)
    days = (
        select(window.exchange, window.live, middle)
        .where(window.as_of.is_(None))
        .group_by(window.exchange, window.live)
    )
    return {(exchange, live): day for exchange, live, day in await db.execute(days)}


async def open_forecasts(db: AsyncSession, tickers: Sequence[str]) -> Sequence[OpenForecast]:
    """What is open of these tickers, by ticker and cutoff; those that are scored to the end are not looked at."""
    last = select(func.coalesce(func.max(Score.step), 0)).where(Score.forecast_id == Forecast.id).scalar_subquery()
    resolved = last.label("resolved")
    rows = (
        select(
            Forecast.id,
            Forecast.ticker,
            Forecast.kind,
            Forecast.bundle_id,
            Forecast.cutoff,
            Forecast.data_table_id,
            Forecast.data_version,
            Forecast.made_at,
            resolved,
            Forecast.target_trading_days[last + 1],
            Forecast.adaptive_alpha.is_not(None),
        )
        .join(OpenForecastRow, OpenForecastRow.forecast_id == Forecast.id)
        .where(OpenForecastRow.ticker.in_(tickers))
        .order_by(Forecast.ticker, Forecast.cutoff, Forecast.id)
    )
    return [OpenForecast._make(row) for row in await db.execute(rows)]


async def closes_of(db: AsyncSession, tickers: Sequence[str]) -> dict[str, tuple[DayArray, FloatArray]]:
    """Days and adjusted closes of the newest windows."""
    window = ServingWindowRow
    rows = select(window.ticker, window.trading_day, window.adj_close).where(
        window.ticker.in_(tickers), window.as_of.is_(None)
    )
    return {ticker: (days, closes) for ticker, days, closes in await db.execute(rows)}


async def versions_of(db: AsyncSession, tickers: Sequence[str], *, after: int) -> dict[str, list[tuple[str, int]]]:
    """By ticker, the data versions later than ``after`` that one of its collect runs ended on, ascending."""
    report = QualityReportRow
    rows = select(report.ticker, report.table_id, report.version).where(
        report.ticker.in_(tickers), report.version > after
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for ticker, table_id, version in await db.execute(rows.order_by(report.version)):
        found.setdefault(ticker, []).append((table_id, version))
    return found


async def levels_of(db: AsyncSession, forecast_id: UUID) -> tuple[float, ...]:
    """The quantile levels of a forecast; all of a bundle's have the same."""
    return tuple((await db.execute(select(Forecast.levels).where(Forecast.id == forecast_id))).scalar_one())


async def quantiles_at(
    db: AsyncSession, ids: Sequence[UUID], steps: Sequence[int], n_levels: int
) -> tuple[FloatArray, FloatArray]:
    """Log-return quantiles of one step each, the forecast's and the naive's (NaN where unknown), ``(n, n_levels)``."""
    rows = (await db.execute(_STEPS, {"ids": list(ids), "steps": list(steps)})).all()
    unknown = np.full(n_levels, np.nan)
    naive = [unknown if sent is None else _floats(sent) for _, sent in rows]
    return np.array([_floats(sent) for sent, _ in rows]).reshape(-1, n_levels), np.array(naive).reshape(-1, n_levels)


def _floats(sent: bytes) -> FloatArray:
    return np.frombuffer(sent, dtype=_SENT_FLOAT, offset=_ARRAY_HEADER_BYTES)["value"].astype(np.float64)


async def expected_days(db: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[date]]:
    """When the steps of these forecasts were expected."""
    rows = select(Forecast.id, Forecast.target_trading_days).where(Forecast.id.in_(ids))
    return {row.id: row.target_trading_days for row in await db.execute(rows)}


async def add_scores(
    db: AsyncSession,
    columns: Mapping[str, Sequence[Any]],
    *,
    kind: str,
    bundle_id: str,
    data_table_id: str,
    data_version: int,
) -> set[tuple[UUID, int]]:
    """Insert scores of one kind, bundle and data version, except those that are there; gives those inserted.

    ``columns`` are the other columns of ``Score`` by name, each as long as the others.
    """
    named = {"kind": kind, "bundle_id": bundle_id, "data_table_id": data_table_id, "data_version": data_version}
    added = await db.execute(_ADD_SCORES, {**columns, **named})
    return {(forecast_id, step) for forecast_id, step in added}


async def gone_through_since(db: AsyncSession, series: Sequence[StoredSeries]) -> bool:
    """Whether a scoring run has gone through one of these tickers since they were read."""
    rows = select(ScoredSeries.ticker, ScoredSeries.data_table_id, ScoredSeries.data_version, ScoredSeries.at)
    found = await db.execute(rows.where(ScoredSeries.ticker.in_([one.ticker for one in series])))
    now = {ticker: (table_id, version, at) for ticker, table_id, version, at in found}
    then = {one.ticker: (one.scored_table_id, one.scored_version, one.scored_at) for one in series}
    return any(now.get(ticker, (None, None, None)) != known for ticker, known in then.items())


async def remember_scored(db: AsyncSession, series: Sequence[StoredSeries], at: datetime) -> None:
    """Note how far scoring has gone."""
    if not series:
        return
    rows = insert(ScoredSeries).values(
        [
            {"ticker": one.ticker, "data_table_id": one.data_table_id, "data_version": one.data_version, "at": at}
            for one in series
        ]
    )
    new = rows.excluded
    await db.execute(
        rows.on_conflict_do_update(
            index_elements=[ScoredSeries.ticker],
            set_={"data_table_id": new.data_table_id, "data_version": new.data_version, "at": new.at},
        )
    )


async def scores_of(db: AsyncSession, forecast_id: UUID) -> Sequence[Score]:
    """The scores of one forecast, by step."""
    return (await db.scalars(select(Score).where(Score.forecast_id == forecast_id).order_by(Score.step))).all()


async def bundle_levels(db: AsyncSession, bundle_id: str) -> tuple[float, ...]:
    """The quantile levels of a registered bundle."""
    row = select(BundleRow.manifest["quantile_levels"]).where(BundleRow.id == bundle_id)
    return tuple((await db.execute(row)).scalar_one())


async def outdated_figures(db: AsyncSession, today: date) -> list[tuple[str, str]]:
    """Kinds and bundles that have scores and no figures of today (UTC)."""
    kinds = values(column("kind", Text), name="kinds").data([("live",), ("hindcast",)])
    scored = select(ScoreDay.n).where(ScoreDay.kind == kinds.c.kind, ScoreDay.bundle_id == BundleRow.id)
    fresh = select(LiveSkill.horizon).where(
        LiveSkill.kind == kinds.c.kind,
        LiveSkill.bundle_id == BundleRow.id,
        LiveSkill.computed_at >= datetime.combine(today, time(), tzinfo=UTC),
    )
    rows = select(kinds.c.kind, BundleRow.id).join_from(kinds, BundleRow, true())
    found = await db.execute(rows.where(scored.exists(), ~fresh.exists()))
    return [(kind, bundle_id) for kind, bundle_id in found]


async def sums_by_day(db: AsyncSession, kind: str, bundle_id: str, steps: Sequence[int]) -> Sequence[RowMapping]:
    """Rows of ``ScoreDay`` as mappings, by step, oldest first."""
    day = ScoreDay.__table__
    rows = select(day).where(day.c.kind == kind, day.c.bundle_id == bundle_id, day.c.step.in_(steps))
    return (await db.execute(rows.order_by(day.c.step, day.c.trading_day))).mappings().all()


async def figures_of(
    db: AsyncSession, *, days: int, bundle_id: str | None = None, horizon: int | None = None
) -> Sequence[LiveSkill]:
    """Stored figures of one window, of all bundles and horizons or of those named, by bundle and horizon."""
    rows = select(LiveSkill).where(LiveSkill.days == days).order_by(LiveSkill.bundle_id, LiveSkill.horizon)
    if bundle_id is not None:
        rows = rows.where(LiveSkill.bundle_id == bundle_id)
    if horizon is not None:
        rows = rows.where(LiveSkill.horizon == horizon)
    return (await db.scalars(rows)).all()


async def replace_figures(
    db: AsyncSession, kind: str, bundle_id: str, figures: Mapping[tuple[int, int], Mapping[str, Any]], now: datetime
) -> None:
    """Store the figures of one kind and bundle by horizon and window, and tell every process at the commit."""
    await db.execute(delete(LiveSkill).where(LiveSkill.kind == kind, LiveSkill.bundle_id == bundle_id))
    if figures:
        named = {"kind": kind, "bundle_id": bundle_id, "computed_at": now}
        rows = [
            {**named, "horizon": horizon, "days": days, "figures": dict(each)}
            for (horizon, days), each in figures.items()
        ]
        await db.execute(insert(LiveSkill), rows)
    await db.execute(select(func.pg_notify(SKILL_CHANNEL, bundle_id)))
