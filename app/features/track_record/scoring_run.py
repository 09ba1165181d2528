"""Every frozen step whose bar is final is scored once, from the first data version that holds the bar. Worker only."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.features.track_record import crud
from app.features.track_record.crud import OpenForecast, StoredSeries
from app.features.track_record.learning import Lesson, Subject, Teacher
from app.features.track_record.outcome_store import OutcomeStore, Series, Version
from app.features.track_record.overdue import overdue_days
from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.intervals import INTERVALS
from ml_lifecycle.export.conformal import missed_intervals
from ml_lifecycle.export.manifest import STEPS
from ml_lifecycle.monitoring.scoring import StepScores, outcomes_after, score_steps

LIVE = "live"
TICKERS = 100  # in one transaction
SETTLED = timedelta(minutes=10)  # between a forecast's `made_at` and its commit, clocks that disagree included
ROWS = 2_000  # in one statement: far within its deadline, on a busy machine too
INSIDE = tuple(f"inside_{100 * level:.0f}" for level in INTERVALS)
FIGURES = (
    "log_return",
    "absolute_error",
    "naive_absolute_error",
    "pinball",
    "naive_pinball",
    "direction_hit",
    *INSIDE,
    *(f"naive_{name}" for name in INSIDE),
)


class Came(NamedTuple):
    """A step whose outcome is known."""

    forecast: OpenForecast
    step: int
    trading_day: date
    log_return: float


@dataclass
class Counted:
    """What a run did."""

    scored: int = 0
    void: int = 0
    taught: int = 0
    by_bundle: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    changed: set[tuple[str, str]] = field(default_factory=set)  # kinds and bundles that got rows


async def score_open_steps(tools: WorkerTools) -> Counted:
    """Score, void and learn, ticker by ticker, a hundred in one transaction; a second run finds nothing to do."""
    counted, teacher, store = Counted(), Teacher(tools.settings), OutcomeStore(tools.settings)
    async with tools.sessions() as db:
        newest = await crud.newest_days(db)
    after = ""
    while True:
        async with tools.sessions() as db:
            await crud.lock_work(db, crud.Work.SCORING)
            series = await crud.stored_series(db, after=after, limit=TICKERS)
            if not series:
                return counted
            await _Batch(db, tools, store, teacher, counted, newest).score(series)
            await db.commit()
        after = series[-1].ticker


@dataclass
class _Batch:
    """Some tickers, in one transaction."""

    db: AsyncSession
    tools: WorkerTools
    store: OutcomeStore
    teacher: Teacher
    counted: Counted
    newest: Mapping[tuple[str, bool], date]

    async def score(self, series: Sequence[StoredSeries]) -> None:
        """Score what came since the last run, then give up what is overdue."""
        stored = {one.ticker: one for one in series}
        found = await crud.open_forecasts(self.db, list(stored))
        news = [one for one in found if _has_news(one, stored[one.ticker])]
        resolved = {one.id: one.resolved for one in found}
        async for version, came in self._came(news, stored):
            for each in came:
                resolved[each.forecast.id] = each.step
            await self._keep(version, came)
        await self._give_up([one for one in found if resolved[one.id] < STEPS], resolved, stored)
        waiting = {one.ticker for one in news}
        moved = [one for one in series if one.ticker in waiting or _version(one) != _scored(one)]
        await crud.remember_scored(self.db, moved, self.tools.clock())

    async def _came(
        self, news: Sequence[OpenForecast], stored: Mapping[str, StoredSeries]
    ) -> AsyncIterator[tuple[Version, list[Came]]]:
        """Data versions in ascending order, each with the steps whose bar it is the first to hold."""
        resolved = {one.id: one.resolved for one in news}
        windows = await crud.closes_of(self.db, sorted({one.ticker for one in news}))
        for version, forecasts in sorted((await self._visits(news, stored, windows)).items()):
            series = await self._series(version, forecasts, stored, windows)
            came = [
                each
                for one in forecasts
                if one.ticker in series
                for each in _outcomes(one, series[one.ticker], resolved[one.id])
            ]
            for each in came:
                resolved[each.forecast.id] = each.step
            if came:
                yield version, came

    async def _visits(
        self, news: Sequence[OpenForecast], stored: Mapping[str, StoredSeries], windows: Mapping[str, Series]
    ) -> dict[Version, list[OpenForecast]]:
        """Which forecasts are to be held against which data versions: those that no run has gone through with them."""
        oldest = min((one.data_version for one in news), default=0)
        collected = await crud.versions_of(self.db, sorted({one.ticker for one in news}), after=oldest - 1)
        visits: dict[Version, list[OpenForecast]] = defaultdict(list)
        for one in news:
            series = stored[one.ticker]
            if not _has_bars_for(one, windows[one.ticker]):
                continue
            for version in {*_between(one, series, collected.get(one.ticker, ())), _version(series)}:
                visits[version].append(one)
        return visits

    async def _series(
        self,
        version: Version,
        forecasts: Sequence[OpenForecast],
        stored: Mapping[str, StoredSeries],
        windows: Mapping[str, Series],
    ) -> dict[str, Series]:
        """Bars of these forecasts' tickers in one version: the window's where it has them, else the store's."""
        first = {one.ticker: one.cutoff for one in reversed(forecasts)}  # the oldest cutoff of each
        at_hand = {
            ticker: windows[ticker]
            for ticker, cutoff in first.items()
            if _version(stored[ticker]) == version and windows[ticker][0][0] <= np.datetime64(cutoff, "D")
        }
        lacking = sorted(first.keys() - at_hand.keys())
        if not lacking:
            return at_hand
        return at_hand | await asyncio.to_thread(self.store.read, version, lacking)

    async def _keep(self, version: Version, came: Sequence[Came]) -> None:
        """Score steps of one data version, and teach the states that they are of."""
        lessons: dict[Subject, list[Lesson]] = defaultdict(list)
        for (kind, bundle_id), group in _by_bundle(came):
            levels = await crud.levels_of(self.db, group[0].forecast.id)
            for part in _parts(group):
                ids, steps = [one.forecast.id for one in part], [one.step for one in part]
                quantiles, naive = await crud.quantiles_at(self.db, ids, steps, len(levels))
                actual = np.array([one.log_return for one in part])
                columns = _columns(part, score_steps(actual, quantiles, naive, levels))
                added = await self._add(columns, kind, bundle_id, version)
                self.counted.scored += len(added)
                self.counted.by_bundle[bundle_id] += len(added)
                missed = missed_intervals(quantiles, actual)
                for one, flags in zip(part, missed, strict=True):
                    if kind == LIVE and one.forecast.adapts and (one.forecast.id, one.step) in added:
                        lessons[bundle_id, one.forecast.ticker].append(Lesson(one.forecast.cutoff, one.step, flags))
        self.counted.taught += await self.teacher.teach(self.db, lessons)

    async def _give_up(
        self,
        forecasts: Sequence[OpenForecast],
        resolved: Mapping[UUID, int],
        stored: Mapping[str, StoredSeries],
    ) -> None:
        """Void the steps whose bar has not come within 15 trading days of others."""
        overdue = await asyncio.to_thread(
            overdue_days,
            list(stored.values()),
            self.newest,
            now=self.tools.clock(),
            final_after=self.tools.settings.final_after,
        )
        late = [one for one in forecasts if one.next_day <= overdue[one.ticker]]
        expected = await crud.expected_days(self.db, [one.id for one in late]) if late else {}
        given_up = [
            Came(one, step, day, np.nan)
            for one in late
            for step, day in enumerate(expected[one.id], start=1)
            if step > resolved[one.id] and day <= overdue[one.ticker]
        ]
        for version, group in _by_version(given_up, stored):
            for (kind, bundle_id), voids in _by_bundle(group):
                for part in _parts(voids):
                    added = await self._add(_void_columns(part), kind, bundle_id, version)
                    self.counted.void += len(added)

    async def _add(
        self, columns: Mapping[str, Sequence[Any]], kind: str, bundle_id: str, version: Version
    ) -> set[tuple[UUID, int]]:
        table_id, number = version
        added = await crud.add_scores(
            self.db, columns, kind=kind, bundle_id=bundle_id, data_table_id=table_id, data_version=number
        )
        if added:
            self.counted.changed.add((kind, bundle_id))
        return added


def _version(series: StoredSeries) -> Version:
    return series.data_table_id, series.data_version


def _scored(series: StoredSeries) -> tuple[str | None, int | None]:
    return series.scored_table_id, series.scored_version


def _has_news(forecast: OpenForecast, series: StoredSeries) -> bool:
    """Whether the last run cannot have held this forecast against these bars."""
    return _version(series) != _scored(series) or not _was_there(forecast, series)


def _was_there(forecast: OpenForecast, series: StoredSeries) -> bool:
    """Whether the forecast was surely committed, whosever clock made it, when its ticker was last gone through."""
    return series.scored_at is not None and forecast.made_at <= series.scored_at - SETTLED


def _has_bars_for(forecast: OpenForecast, window: Series) -> bool:
    """Whether the newest window holds a bar that the next step waits for."""
    behind = int(np.searchsorted(window[0], np.datetime64(forecast.cutoff, "D"), side="right"))
    return len(window[0]) - behind > forecast.resolved


def _between(forecast: OpenForecast, series: StoredSeries, collected: Sequence[Version]) -> Iterator[Version]:
    """Versions before the newest in which the forecast's next bars may have come, and that no run has looked at.

    A live forecast was made before any bar that it waits for, in its own version or an older one.
    """
    if forecast.data_table_id != series.data_table_id:
        return
    own = () if forecast.kind == LIVE else ((forecast.data_table_id, forecast.data_version),)
    looked_at = -1
    if series.scored_table_id == series.data_table_id and _was_there(forecast, series):
        looked_at = -1 if series.scored_version is None else series.scored_version
    for table_id, number in (*own, *collected):
        later = number > forecast.data_version or (table_id, number) in own
        if table_id == series.data_table_id and later and looked_at < number < series.data_version:
            yield table_id, number


def _outcomes(forecast: OpenForecast, series: Series, resolved: int) -> Iterator[Came]:
    """The steps after ``resolved`` that these bars hold, without a gap."""
    found = outcomes_after(*series, np.array([forecast.cutoff], dtype="datetime64[D]"), STEPS)
    for step in range(resolved + 1, STEPS + 1):
        log_return = float(found.log_return[0, step - 1])
        if np.isnan(log_return):
            return
        yield Came(forecast, step, found.trading_day[0, step - 1].item(), log_return)


def _by_bundle(came: Sequence[Came]) -> Iterator[tuple[tuple[str, str], list[Came]]]:
    """Kind and bundle, with what is of them."""
    groups: dict[tuple[str, str], list[Came]] = defaultdict(list)
    for one in came:
        groups[one.forecast.kind, one.forecast.bundle_id].append(one)
    yield from sorted(groups.items())


def _by_version(came: Sequence[Came], stored: Mapping[str, StoredSeries]) -> Iterator[tuple[Version, list[Came]]]:
    """The newest version of each ticker, with what is of it."""
    groups: dict[Version, list[Came]] = defaultdict(list)
    for one in came:
        groups[_version(stored[one.forecast.ticker])].append(one)
    yield from sorted(groups.items())


def _parts(came: Sequence[Came]) -> Iterator[Sequence[Came]]:
    return (came[first : first + ROWS] for first in range(0, len(came), ROWS))


def _columns(came: Sequence[Came], scores: StepScores) -> dict[str, list[Any]]:
    """The columns of ``Score`` rows."""
    return {
        **_key_columns(came, "scored"),
        "log_return": [one.log_return for one in came],
        "absolute_error": scores.absolute_error.tolist(),
        "naive_absolute_error": scores.naive_absolute_error.tolist(),
        "pinball": scores.pinball.tolist(),
        "naive_pinball": [None if np.isnan(loss) else loss for loss in scores.naive_pinball.tolist()],
        "direction_hit": _flags(scores.direction_hit),
        **{name: _flags(scores.inside[:, place]) for place, name in enumerate(INSIDE)},
        **{f"naive_{name}": _flags(scores.naive_inside[:, place]) for place, name in enumerate(INSIDE)},
    }


def _void_columns(came: Sequence[Came]) -> dict[str, list[Any]]:
    return {**_key_columns(came, "void"), **{name: [None] * len(came) for name in FIGURES}}


def _key_columns(came: Sequence[Came], status: str) -> dict[str, list[Any]]:
    return {
        "forecast_id": [one.forecast.id for one in came],
        "step": [one.step for one in came],
        "status": [status] * len(came),
        "trading_day": [one.trading_day for one in came],
    }


def _flags(values: FloatArray) -> list[bool | None]:
    """True for 1, False for 0, None for NaN."""
    return [None if value != value else value == 1.0 for value in values.tolist()]
