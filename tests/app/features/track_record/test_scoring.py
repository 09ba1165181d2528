"""Every step whose bar is final is scored once, from the first data version that holds the bar, and never again."""

import asyncio
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import numpy as np
import pytest
from psycopg.errors import RestrictViolation
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.features.market_data.crud import add_data_version
from app.features.track_record import crud, looking, new_scores
from app.features.track_record.figures import INSIDE
from app.features.track_record.outcome_store import OutcomeStore
from app.features.track_record.service import score_final_steps
from app.models.forecast import Forecast
from app.models.score import Score, ScoreDay
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import ServingWindow
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.monitoring.scoring import outcomes_after, score_steps
from tests.app.features.track_record.truth import Truth, version, windows_at


@pytest.fixture
def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """An installation whose clock this test sets."""
    return Truth(settings, sessions)


async def scores(db: AsyncSession) -> list[Score]:
    """All of them, by forecast and step, as they are now."""
    await db.rollback()
    rows = select(Score).order_by(Score.forecast_id, Score.step).execution_options(populate_existing=True)
    return list(await db.scalars(rows))


async def test_a_step_is_scored_on_the_bar_that_comes_h_bars_after_the_cutoff(truth: Truth, db: AsyncSession) -> None:
    """Return, errors, losses and flags as they follow from the window's adjusted closes and the frozen quantiles."""
    early, late = windows_at([300, 305])
    await truth.publish(early)
    forecast = await truth.freeze(await truth.champion())
    before = await score_final_steps(truth.tools)
    await truth.publish(late)

    run = await score_final_steps(truth.tools)

    rows = await scores(db)
    closes = late.bars.adj_close
    assert (before.scored, run.scored, [row.step for row in rows]) == (0, 5, [1, 2, 3, 4, 5])
    for row in rows:
        came = np.log(closes[299 + row.step] / closes[299])
        quantiles = np.array(forecast.log_returns[row.step - 1])
        ends = dict(zip(forecast.levels, quantiles.tolist(), strict=True))
        assert row.log_return == pytest.approx(came, rel=1e-15)
        assert row.absolute_error == pytest.approx(abs(came - ends[0.5]), rel=1e-12)
        assert row.naive_absolute_error == pytest.approx(abs(came), rel=1e-15)
        wanted = metrics.pinball_losses(np.array([came]), quantiles[None], forecast.levels)[0]
        assert row.pinball == pytest.approx(wanted, rel=1e-12)
        assert row.inside_80 == (ends[0.1] <= came <= ends[0.9])
        assert (row.trading_day, row.data_version) == (late.bars.trading_day[299 + row.step].item(), 2)


async def test_a_second_run_and_two_at_once_score_nothing_twice(
    truth: Truth, settings: Settings, db: AsyncSession
) -> None:
    """Neither in the rows nor in their sums, however the two meet."""
    champion = await truth.champion()
    tickers = [f"T{number:02}" for number in range(8)]
    later = []
    for seed, ticker in enumerate(tickers):
        early, late = windows_at([300, 312], ticker, seed=seed)
        await truth.publish(early)
        await truth.freeze(champion, ticker)
        later.append(late)
    await truth.publish(*later)
    engines = [create_engine(settings) for _ in range(3)]
    tools = [replace(truth.tools, sessions=session_factory(engine)) for engine in engines]

    runs = await asyncio.gather(*(score_final_steps(each) for each in tools))
    again = await score_final_steps(truth.tools)

    for engine in engines:
        await engine.dispose()
    assert sum(run.scored for run in runs) == len(await scores(db)) == 8 * 12
    assert again.scored == 0
    assert await db.scalar(select(func.sum(ScoreDay.n))) == 8 * 12


async def test_rows_that_another_worker_wrote_meanwhile_are_left_as_they_are(truth: Truth, db: AsyncSession) -> None:
    """The guard under the lock: an insert of what is there changes neither the row nor the sums."""
    early, late = windows_at([300, 305])
    await truth.publish(early)
    forecast = await truth.freeze(await truth.champion())
    await truth.publish(late)
    await score_final_steps(truth.tools)
    before = [(row.step, row.log_return) for row in await scores(db)]
    columns: dict[str, list[Any]] = {name: [None] for name in new_scores.FIGURES}
    named: dict[str, list[Any]] = {
        "forecast_id": [forecast.id],
        "step": [1],
        "status": ["scored"],
        "trading_day": [date(2013, 1, 2)],
    }

    added = await crud.add_scores(
        db,
        {**columns, **named, "log_return": [9.0]},
        kind="live",
        bundle_id=forecast.bundle_id,
        data_table_id="another",
        data_version=9,
    )
    await db.commit()

    assert added == set()
    assert [(row.step, row.log_return) for row in await scores(db)] == before
    assert await db.scalar(select(func.sum(ScoreDay.n))) == 5


async def test_a_worker_that_dies_in_the_middle_leaves_whole_tickers(
    truth: Truth, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is cut after the scores of the second ticker, before their commit; the next run does the rest."""
    champion = await truth.champion()
    monkeypatch.setattr(looking, "TICKERS", 1)
    for seed, ticker in enumerate(("AAA", "BBB", "CCC")):
        early, late = windows_at([300, 303], ticker, seed=seed)
        await truth.publish(early)
        await truth.freeze(champion, ticker)
        await truth.publish(late)
    remember = crud.remember_scored

    async def cut(db: AsyncSession, series: list[crud.StoredSeries], at: object) -> None:
        if series[0].ticker == "BBB":
            await db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        await remember(db, series, at)  # type: ignore[arg-type]

    monkeypatch.setattr(crud, "remember_scored", cut)
    with pytest.raises(OperationalError):
        await score_final_steps(truth.tools)
    left = len(await scores(db))
    monkeypatch.setattr(crud, "remember_scored", remember)
    run = await score_final_steps(truth.tools)

    assert (left, run.scored, len(await scores(db))) == (3, 6, 9)
    assert await db.scalar(select(func.sum(ScoreDay.n))) == 9


def with_split(window: ServingWindow, number: int) -> ServingWindow:
    """A later version in which two shares became one at the cutoff, and a dividend was paid: all past is adjusted."""
    bars = window.bars
    adjusted = replace(bars, close=bars.close * 2.0, adj_close=bars.adj_close * 2.0 * 0.97)
    return replace(window, bars=adjusted, data_version=version(number))


async def test_a_split_or_dividend_inserted_later_changes_no_score(truth: Truth, db: AsyncSession) -> None:
    """What is scored stays to the bit; steps scored after it are the returns of one version, hence as without it."""
    early, middle, late = windows_at([300, 303, 306])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(middle)
    await score_final_steps(truth.tools)
    before = [(row.step, row.log_return, row.pinball, row.scored_at) for row in await scores(db)]

    await truth.publish(with_split(late, 3))
    await score_final_steps(truth.tools)

    after = await scores(db)
    assert [(row.step, row.log_return, row.pinball, row.scored_at) for row in after[:3]] == before
    whole = outcomes_after(late.bars.trading_day, late.bars.adj_close, late.bars.trading_day[299:300], 30)
    returns = np.array([row.log_return for row in after], dtype=np.float64)
    np.testing.assert_allclose(returns, whole.log_return[0, :6], rtol=0, atol=1e-12)
    assert [row.data_version for row in after] == [2, 2, 2, 3, 3, 3]


async def test_what_a_missed_run_would_have_seen_is_read_from_its_version(
    truth: Truth, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are scored from the first version that holds their bar, though a later one revised it."""
    early, middle, late = windows_at([300, 303, 306])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    revised = with_split(late, 3)
    bent = replace(revised.bars, adj_close=revised.bars.adj_close * np.linspace(1.0, 1.1, 306))
    for number in (2, 3):
        await add_data_version(db, version(number), {"AAPL": {}})
    await db.commit()
    await truth.publish(replace(revised, bars=bent))
    stored = {2: middle.bars, 3: bent}

    def read(_store: object, asked: tuple[str, int], tickers: list[str]) -> dict[str, tuple[object, object]]:
        bars: BarArrays = stored[asked[1]]
        return dict.fromkeys(tickers, (bars.trading_day, bars.adj_close))

    monkeypatch.setattr(OutcomeStore, "read", read)
    await score_final_steps(truth.tools)

    rows = await scores(db)
    first = outcomes_after(middle.bars.trading_day, middle.bars.adj_close, middle.bars.trading_day[299:300], 3)
    assert [row.data_version for row in rows] == [2, 2, 2, 3, 3, 3]
    assert [row.log_return for row in rows[:3]] == first.log_return[0].tolist()


async def test_a_bar_that_does_not_come_in_fifteen_further_trading_days_makes_its_step_void(
    truth: Truth, db: AsyncSession
) -> None:
    """Others of its exchange went on; after fourteen days of theirs nothing is given up; a late bar changes nothing."""
    champion = await truth.champion()
    halted, resumed = windows_at([301, 321], "HALT")
    others = [windows_at([301, 316, 317, 321], ticker, seed=seed) for seed, ticker in enumerate(("AAA", "BBB"))]
    await truth.publish(halted, *(windows[0] for windows in others))
    await truth.freeze(champion, "HALT")
    await truth.publish(*(windows[1] for windows in others))
    waiting = await score_final_steps(truth.tools)
    await truth.publish(*(windows[2] for windows in others))
    given_up = await score_final_steps(truth.tools)
    await truth.publish(resumed, *(windows[3] for windows in others))
    after = await score_final_steps(truth.tools)

    rows = await scores(db)
    assert (waiting.void, given_up.void, after.scored) == (0, 1, 19)
    assert [row.status for row in rows] == ["void", *["scored"] * 19]
    assert (rows[0].trading_day, rows[0].log_return) == (halted.target_trading_days[0], None)


async def test_a_file_that_ends_is_waited_for(truth: Truth, db: AsyncSession) -> None:
    """Years may pass until its bars are continued: no other bars of that kind came, so none is overdue."""
    (ended,) = windows_at([300], "OLD", live=False)
    await truth.publish(ended)
    await truth.freeze(await truth.champion(), "OLD")
    truth.days_later(4_000)

    run = await score_final_steps(truth.tools)

    assert (run.scored, run.void) == (0, 0)


async def test_no_score_can_be_changed_or_taken_out(truth: Truth, db: AsyncSession) -> None:
    """Not by the table's owner either, short of switching the triggers off."""
    early, late = windows_at([300, 301])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(late)
    await score_final_steps(truth.tools)
    for statement in ("UPDATE scores SET pinball = 0", "DELETE FROM scores", "TRUNCATE scores"):
        with pytest.raises((DBAPIError, IntegrityError)) as refused:
            await db.execute(text(statement))
        assert isinstance(refused.value.orig, RestrictViolation)
        await db.rollback()


async def test_sums_by_day_agree_with_numpy(truth: Truth, db: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-12, over tickers, cutoffs, runs and transactions, live and hindcast apart."""
    monkeypatch.setattr(looking, "TICKERS", 1)  # a day's sums grow by one ticker at a time
    champion = await truth.champion()
    series = {
        (ticker, live): windows_at([300, 301, 304, 312], ticker, live=live, seed=seed)
        for seed, (ticker, live) in enumerate(product(("AAA", "BBB", "CCC"), (True, False)))
        if (ticker == "CCC") != live
    }
    frozen: list[tuple[Forecast, ServingWindow]] = []
    for place in range(4):
        await truth.publish(*(windows[place] for windows in series.values()))
        frozen += [(await truth.freeze(champion, ticker), windows[-1]) for (ticker, _), windows in series.items()]
        await score_final_steps(truth.tools)

    expected: dict[tuple[str, int, date], list[float]] = {}
    for forecast, last in frozen:
        bars = last.bars
        came = outcomes_after(bars.trading_day, bars.adj_close, np.array([forecast.cutoff], "datetime64[D]"), 30)
        known = np.flatnonzero(np.isfinite(came.log_return[0]))
        actual, quantiles = came.log_return[0, known], np.array(forecast.log_returns)[known]
        naive = np.array(forecast.naive_log_returns)[known]
        found = score_steps(actual, quantiles, naive, forecast.levels)
        for row, step in enumerate(known):
            key = (forecast.kind, int(step) + 1, came.trading_day[0, step].item())
            figures = [1.0, found.absolute_error[row], found.naive_absolute_error[row], found.pinball[row]]
            figures += [found.naive_pinball[row], *found.inside[row]]
            expected[key] = (np.array(expected.get(key, np.zeros(len(figures)))) + figures).tolist()
    days = (await db.scalars(select(ScoreDay))).all()
    names = ("n", "absolute_error", "naive_absolute_error", "pinball", "naive_pinball", *INSIDE)
    summed = {(d.kind, d.step, d.trading_day): [float(getattr(d, name)) for name in names] for d in days}
    assert summed.keys() == expected.keys()
    for key, figures in expected.items():
        np.testing.assert_allclose(summed[key], figures, rtol=0, atol=1e-12)
