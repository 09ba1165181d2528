"""What scoring has yet to do is on a list, and nothing is locked while it finds out; tickers have their sums."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.migrations import alembic_config, downgrade, upgrade
from app.features.track_record import looking, ticker_crud
from app.features.track_record.figures import INSIDE
from app.features.track_record.outcome_store import OutcomeStore
from app.features.track_record.service import score_final_steps
from app.models.forecast import Forecast
from app.models.score import OpenForecast, Score, ScoredSeries, TickerScoreDay, TickerScoreSum
from app.models.serving_window import ServingWindowRow
from data_pipeline.serving_window import ServingWindow
from ml_lifecycle.export.manifest import HORIZONS
from ml_lifecycle.monitoring.scoring import outcomes_after, score_steps
from tests.app.features.track_record.truth import Truth, note_transactions, version, windows_at

KEPT = (OpenForecast, TickerScoreDay, TickerScoreSum)


@pytest.fixture
def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """An installation whose clock this test sets."""
    return Truth(settings, sessions)


async def kept(db: AsyncSession) -> list[list[tuple[Any, ...]]]:
    """Every row of what triggers keep, in the order of its key."""
    await db.rollback()
    tables = [model.__table__ for model in KEPT]
    return [list(map(tuple, await db.execute(select(each).order_by(*each.primary_key)))) for each in tables]


async def listed(db: AsyncSession) -> set[str]:
    """Tickers of which a forecast is open."""
    await db.rollback()
    return set(await db.scalars(select(OpenForecast.ticker)))


async def test_a_forecast_is_open_from_its_freezing_until_its_last_step_is_scored_or_void(
    truth: Truth, db: AsyncSession, settings: Settings
) -> None:
    """Frozen twice it is open once; a database that is brought up later holds the same lists and sums."""
    champion = await truth.champion()
    halted, resumed = windows_at([300, 301], "HALT")
    early, middle, late = windows_at([300, 329, 350], "AAA", seed=1, whole=350)
    await truth.publish(halted, early)
    for ticker in ("HALT", "AAA", "AAA"):
        await truth.freeze(champion, ticker)
    frozen = await listed(db)
    await truth.publish(middle)
    await score_final_steps(truth.tools)
    nearly = await listed(db)
    await truth.publish(late)
    await score_final_steps(truth.tools)
    done, statuses = await listed(db), [row.status for row in await db.scalars(select(Score))]
    await truth.publish(replace(resumed, data_version=version(9)))
    await score_final_steps(truth.tools)

    assert (frozen, nearly, done) == ({"HALT", "AAA"}, {"HALT", "AAA"}, {"HALT"})
    assert (statuses.count("scored"), statuses.count("void")) == (30, 14)
    before = await kept(db)
    await db.rollback()
    downgrade(settings.database_url.get_secret_value(), "0010")
    upgrade(settings.database_url.get_secret_value())
    assert await kept(db) == before


async def test_a_forecast_that_is_given_up_to_its_end_is_closed(truth: Truth, db: AsyncSession) -> None:
    """A void last step is a last step."""
    champion = await truth.champion()
    (halted,) = windows_at([300], "HALT", whole=350)
    others = [windows_at([300, 350], ticker, seed=seed, whole=350) for seed, ticker in enumerate(("AAA", "BBB"))]
    await truth.publish(halted, *(windows[0] for windows in others))
    await truth.freeze(champion, "HALT")
    await truth.publish(*(windows[1] for windows in others))

    run = await score_final_steps(truth.tools)

    assert (run.void, await listed(db)) == (30, set())


def test_figures_have_the_sums_of_their_horizons() -> None:
    """The trigger names the horizons and levels itself; others here would need a migration of theirs."""
    revision = ScriptDirectory.from_config(alembic_config()).get_revision("0011")
    assert ", ".join(map(str, HORIZONS)) == revision.module.HORIZONS
    assert tuple(f"inside_{level}" for level in revision.module.LEVELS) == INSIDE


async def test_no_transaction_is_open_while_versions_and_calendars_are_read(
    truth: Truth, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a store takes, nobody waits for it."""
    seen = note_transactions(settings, monkeypatch, (OutcomeStore, "read"), (looking, "overdue_days"))
    early, late = windows_at([300, 305])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(replace(late, bars=late.bars[303:]))  # it begins too late: its version is read from the store

    await score_final_steps(truth.tools)

    assert seen == {"read": 0, "overdue_days": 0}


async def test_a_run_that_was_overtaken_looks_anew(
    truth: Truth, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found three steps, then another run scored six from a later version: nothing is twice, or taken back."""
    early, middle, late = windows_at([300, 303, 306])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(middle)
    reached, go_on = threading.Event(), threading.Event()
    overdue = looking.overdue_days

    def waiting(*args: Any, **named: Any) -> dict[str, date]:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(60)
        return overdue(*args, **named)

    monkeypatch.setattr(looking, "overdue_days", waiting)
    slow = asyncio.create_task(score_final_steps(truth.tools))
    assert await asyncio.to_thread(reached.wait, 10)
    await truth.publish(late)
    quick = await score_final_steps(truth.tools)
    go_on.set()

    assert (quick.scored, (await slow).scored) == (6, 0)
    rows = list(await db.scalars(select(Score).order_by(Score.step)))
    assert [(row.step, row.data_version) for row in rows] == [(step, 3) for step in range(1, 7)]
    assert list(await db.scalars(select(ScoredSeries.data_version))) == [3]


async def test_what_is_committed_while_a_run_reads_was_not_seen(
    truth: Truth, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of reading does not count: the instant that is noted is the one before it."""
    early, late = windows_at([300, 303])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(late)
    overdue, began = looking.overdue_days, truth.now

    def long(*args: Any, **named: Any) -> dict[str, date]:
        truth.now += timedelta(hours=1)
        return overdue(*args, **named)

    monkeypatch.setattr(looking, "overdue_days", long)
    await score_final_steps(truth.tools)

    assert list(await db.scalars(select(ScoredSeries.at))) == [began]


async def test_a_ticker_s_sums_agree_with_numpy(truth: Truth, db: AsyncSession) -> None:
    """To 1e-12, by day and over all days, over bundles' kinds, cutoffs and runs; so do the records out of them."""
    champion = await truth.champion()
    series = {
        ticker: windows_at([300, 301, 304, 350], ticker, live=ticker != "OLD", seed=seed, whole=350)
        for seed, ticker in enumerate(("AAA", "BBB", "OLD"))
    }
    frozen: list[Forecast] = []
    for place in range(4):
        await truth.publish(*(windows[place] for windows in series.values()))
        frozen += [await truth.freeze(champion, ticker) for ticker in series]
        await score_final_steps(truth.tools)

    expected = numpy_sums(frozen, {ticker: windows[-1] for ticker, windows in series.items()})
    await db.rollback()
    days = {(d.ticker, d.kind, d.step, d.trading_day): sums_of(d) for d in await db.scalars(select(TickerScoreDay))}
    assert days.keys() == expected.keys()
    for key, figures in expected.items():
        np.testing.assert_allclose(days[key], figures, rtol=0, atol=1e-12)
    days_seen = sorted({day for *_, day in expected})
    after = days_seen[len(days_seen) // 2]
    for kind, since in product(("live", "hindcast"), (date.min, after)):
        stored = select(ServingWindowRow.ticker).where(ServingWindowRow.as_of.is_(None)).subquery()
        for row in (await db.execute(ticker_crud.records_of(stored, kind=kind, step=2, after=since))).mappings():
            inside = [
                f for (t, k, s, day), f in expected.items() if (t, k, s) == (row["ticker"], kind, 2) and day > since
            ]
            wanted = np.sum([np.zeros(len(NAMES)), *inside], axis=0)
            np.testing.assert_allclose([float(row[name]) for name in NAMES], wanted, rtol=0, atol=1e-12)
            newest = [day for (t, k, s, day) in expected if (t, k, s) == (row["ticker"], kind, 2) and day > since]
            assert row["newest_outcome"] == max(newest, default=None)
            assert row["forecasts"] == sum((f.ticker, f.kind) == (row["ticker"], kind) for f in frozen)


NAMES = ("n", "absolute_error", "naive_absolute_error", "compared", "compared_pinball", "naive_pinball", *INSIDE)


def sums_of(row: TickerScoreDay) -> list[float]:
    """As ``NAMES`` has them."""
    return [float(getattr(row, name)) for name in NAMES]


def numpy_sums(
    frozen: Sequence[Forecast], newest: Mapping[str, ServingWindow]
) -> dict[tuple[str, str, int, date], np.ndarray]:
    """``NAMES`` by ticker, kind, step and day, from the forecasts and the last bars."""
    found: dict[tuple[str, str, int, date], np.ndarray] = {}
    for forecast in frozen:
        bars = newest[forecast.ticker].bars
        came = outcomes_after(bars.trading_day, bars.adj_close, np.array([forecast.cutoff], "datetime64[D]"), 30)
        steps = [step for step in HORIZONS if np.isfinite(came.log_return[0, step - 1])]
        rows = np.array(steps, dtype=int) - 1
        quantiles, naive = np.array(forecast.log_returns)[rows], np.array(forecast.naive_log_returns)[rows]
        scored = score_steps(came.log_return[0, rows], quantiles, naive, forecast.levels)
        for place, step in enumerate(steps):
            losses = (scored.absolute_error, scored.naive_absolute_error, scored.pinball, scored.naive_pinball)
            own, others, pinball, naive_pinball = (float(each[place]) for each in losses)
            figures = np.array([1.0, own, others, 1.0, pinball, naive_pinball, *scored.inside[place]])
            key = (forecast.ticker, forecast.kind, step, came.trading_day[0, step - 1].item())
            found[key] = found.get(key, np.zeros(len(NAMES))) + figures
    return found
