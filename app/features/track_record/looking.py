"""What came of open forecasts: read in one short snapshot, then worked out with nothing open or locked. Worker only."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.features.track_record import crud
from app.features.track_record.crud import OpenForecast, StoredSeries
from app.features.track_record.new_scores import Came, NewScores, scored_steps, void_steps
from app.features.track_record.outcome_store import OutcomeStore, Series, Version
from app.features.track_record.overdue import overdue_days
from ml_lifecycle.export.manifest import STEPS
from ml_lifecycle.monitoring.scoring import outcomes_after

LIVE = "live"
TICKERS = 100  # in one look
SETTLED = timedelta(minutes=10)  # between a forecast's `made_at` and its commit, clocks that disagree included


@dataclass(frozen=True)
class Look:
    """What one look at some tickers found.

    Attributes
    ----------
    series : the tickers looked at, as they were.
    scores : what is to be written, in the order in which it came.
    moved : the tickers that scoring has now gone through anew.
    at : before anything was read: what is committed later was not seen.
    """

    series: Sequence[StoredSeries]
    scores: Sequence[NewScores]
    moved: Sequence[StoredSeries]
    at: datetime


@dataclass(frozen=True)
class _Snapshot:
    """One state of the database; ``news``: what no run can have held against these bars."""

    stored: Mapping[str, StoredSeries]
    found: Sequence[OpenForecast]
    news: Sequence[OpenForecast]
    windows: Mapping[str, Series]
    collected: Mapping[str, Sequence[Version]]


@dataclass(frozen=True)
class Looker:
    """Looks at tickers in alphabetical order, a hundred at a time; ``newest`` as ``crud.newest_days`` gives it."""

    tools: WorkerTools
    store: OutcomeStore
    newest: Mapping[tuple[str, bool], date]

    async def look(self, after: str) -> Look | None:
        """The tickers behind ``after``; None where there are none."""
        at = self.tools.clock()
        async with self.tools.sessions() as db:
            snapshot = await _snapshot(db, after)
        if not snapshot.stored:
            return None
        by_version = await self._came(snapshot)
        resolved = {each.forecast.id: each.step for _, came in by_version for each in came}
        voids = await self._given_up(snapshot, resolved)
        async with self.tools.sessions() as db:
            scores = [part for version, came in by_version for part in await scored_steps(db, version, came)]
        scores += [part for version, came in _by_version(voids, snapshot.stored) for part in void_steps(version, came)]
        touched = {one.ticker for one in snapshot.news} | {one.forecast.ticker for one in voids}
        series = list(snapshot.stored.values())
        moved = [one for one in series if one.ticker in touched or _version(one) != _scored(one)]
        return Look(series, scores, moved, at)

    async def _came(self, snapshot: _Snapshot) -> list[tuple[Version, list[Came]]]:
        """Data versions in ascending order, each with the steps whose bar it is the first to hold."""
        resolved = {one.id: one.resolved for one in snapshot.news}
        found = []
        for version, forecasts in sorted(_visits(snapshot).items()):
            series = await self._series(version, forecasts, snapshot)
            came = [
                each
                for one in forecasts
                if one.ticker in series
                for each in _outcomes(one, series[one.ticker], resolved[one.id])
            ]
            resolved |= {each.forecast.id: each.step for each in came}
            if came:
                found.append((version, came))
        return found

    async def _series(
        self, version: Version, forecasts: Sequence[OpenForecast], snapshot: _Snapshot
    ) -> dict[str, Series]:
        """Bars of these forecasts' tickers in one version: the window's where it has them, else the store's."""
        first = {one.ticker: one.cutoff for one in reversed(forecasts)}  # the oldest cutoff of each
        windows = snapshot.windows
        at_hand = {
            ticker: windows[ticker]
            for ticker, cutoff in first.items()
            if _version(snapshot.stored[ticker]) == version and windows[ticker][0][0] <= np.datetime64(cutoff, "D")
        }
        lacking = sorted(first.keys() - at_hand.keys())
        if not lacking:
            return at_hand
        return at_hand | await asyncio.to_thread(self.store.read, version, lacking)

    async def _given_up(self, snapshot: _Snapshot, resolved: Mapping[UUID, int]) -> list[Came]:
        """The steps whose bar has not come within 15 trading days of others."""
        overdue = await asyncio.to_thread(
            overdue_days,
            list(snapshot.stored.values()),
            self.newest,
            now=self.tools.clock(),
            final_after=self.tools.settings.final_after,
        )
        last = {one.id: resolved.get(one.id, one.resolved) for one in snapshot.found}
        late = [one for one in snapshot.found if last[one.id] < STEPS and one.next_day <= overdue[one.ticker]]
        if not late:
            return []
        async with self.tools.sessions() as db:
            expected = await crud.expected_days(db, [one.id for one in late])
        return [
            Came(one, step, day, np.nan)
            for one in late
            for step, day in enumerate(expected[one.id], start=1)
            if step > last[one.id] and day <= overdue[one.ticker]
        ]


async def _snapshot(db: AsyncSession, after: str) -> _Snapshot:
    """A window published meanwhile must not pass for the version that was read before it."""
    await db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    stored = {one.ticker: one for one in await crud.stored_series(db, after=after, limit=TICKERS)}
    found = await crud.open_forecasts(db, list(stored))
    news = [one for one in found if _has_news(one, stored[one.ticker])]
    tickers = sorted({one.ticker for one in news})
    oldest = min((one.data_version for one in news), default=0)
    windows = await crud.closes_of(db, tickers)
    collected = await crud.versions_of(db, tickers, after=oldest - 1)
    return _Snapshot(stored, found, news, windows, collected)


def _visits(snapshot: _Snapshot) -> dict[Version, list[OpenForecast]]:
    """Which forecasts are to be held against which data versions: those that no run has gone through with them."""
    visits: dict[Version, list[OpenForecast]] = defaultdict(list)
    for one in snapshot.news:
        series = snapshot.stored[one.ticker]
        if not _has_bars_for(one, snapshot.windows[one.ticker]):
            continue
        for version in {*_between(one, series, snapshot.collected.get(one.ticker, ())), _version(series)}:
            visits[version].append(one)
    return visits


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


def _by_version(came: Sequence[Came], stored: Mapping[str, StoredSeries]) -> Iterator[tuple[Version, list[Came]]]:
    """The newest version of each ticker, with what is of it."""
    groups: dict[Version, list[Came]] = defaultdict(list)
    for one in came:
        groups[_version(stored[one.forecast.ticker])].append(one)
    yield from sorted(groups.items())
