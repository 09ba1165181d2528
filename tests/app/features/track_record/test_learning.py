"""Intervals that follow live errors, as `adaptive_along` moves them along one series, each outcome once."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.registry import promotion
from app.features.registry.service import register_bundle
from app.features.stock_prediction.precomputing import precompute_forecasts
from app.features.track_record import learning
from app.features.track_record.learning import Lesson, Teacher
from app.features.track_record.service import score_final_steps
from app.models.adaptive import AdaptiveStateRow
from app.models.forecast import Forecast
from data_pipeline.serving_window import ServingWindow
from ml_lifecycle.evaluation.adaptive import Past, adaptive_along
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.conformal import AdaptiveChoice, AdaptiveFigures, AdaptiveStart
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import STEPS
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.monitoring.scoring import outcomes_after
from tests.app.features.track_record.truth import Truth, note_transactions, windows_at
from tests.ml_lifecycle.export.handmade import make_calibration, make_contents, make_manifest

DAYS = range(300, 318)  # as many cutoffs: of most steps something is learnt, of the first so much that it is clipped
STEP = 0.15  # so large that α meets the ends of its range


def write_adapting_network(bundles: Path) -> Path:
    """A network whose intervals adapt; gives its folder."""
    fixed = make_calibration()
    figures = AdaptiveFigures(n=1, pinball=1.0, adaptive_pinball=1.0, levels=(), coverage=(), adaptive_coverage=())
    calibration = fixed.model_copy(
        update={
            "adaptive": AdaptiveStart(alphas=fixed.adaptive.alphas, step=STEP),
            "adaptive_choice": AdaptiveChoice(on=True, figures=figures),
        }
    )
    contents = {**make_contents(), "calibration.json": canonical_json(calibration.model_dump(mode="json"))}
    return write_bundle(bundles, contents, make_manifest(contents))


@pytest.fixture
async def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession], db: AsyncSession) -> Truth:
    """An installation whose champion adapts."""
    truth = Truth(settings, sessions)
    await truth.champion()
    bundle_id = await register_bundle(db, write_adapting_network(settings.bundles))
    await promotion.force(db, bundle_id, reason="a test", by="ada")
    return truth


def reference(bundle: Bundle, windows: list[ServingWindow]) -> tuple[np.ndarray, np.ndarray]:
    """What `adaptive_along` makes of the same forecasts and outcomes: α and quantiles at each cutoff."""
    bars = windows[-1].bars
    cutoffs = np.array([window.bars.trading_day[-1] for window in windows])
    past = Past(
        days=cutoffs,
        bars=np.searchsorted(bars.trading_day, cutoffs),
        quantiles=np.stack([BundleForecaster(bundle).forecast(window.bars).log_returns for window in windows]),
        actual=outcomes_after(bars.trading_day, bars.adj_close, cutoffs, STEPS).log_return,
    )
    adapted = adaptive_along(past, bundle.manifest.quantile_levels, range(1, STEPS + 1), step=STEP)
    return adapted.alphas, adapted.quantiles


async def test_the_state_after_each_close_is_that_of_the_whole_history(truth: Truth, db: AsyncSession) -> None:
    """Scored after each close, frozen for the next: α and intervals of every row; hindcasts keep theirs."""
    champion = await truth.champion()
    windows = windows_at(DAYS, whole=340)
    (old,) = windows_at([300], "OLD", live=False, whole=340)
    for window in windows[:-1]:
        await truth.publish(window)
        await score_final_steps(truth.tools)
        await truth.freeze(champion)
    await truth.publish(old, windows[-1])
    truth.now = windows[-1].opens_at - timedelta(hours=1)
    await score_final_steps(truth.tools)
    await score_final_steps(truth.tools)  # which learns nothing twice
    await precompute_forecasts(truth.tools)

    rows = (await db.scalars(select(Forecast).where(Forecast.ticker == "AAPL").order_by(Forecast.cutoff))).all()
    hindcast = (await db.scalars(select(Forecast).where(Forecast.ticker == "OLD"))).one()
    alphas, quantiles = reference(champion.bundle, windows)
    assert len(rows) == len(DAYS)
    np.testing.assert_array_equal(np.array([row.adaptive_alpha for row in rows]), alphas)
    np.testing.assert_allclose(np.array([row.log_returns for row in rows]), quantiles, rtol=0, atol=1e-9)
    assert (hindcast.kind, hindcast.adaptive_alpha) == ("hindcast", None)
    state = (await db.scalars(select(AdaptiveStateRow))).one()
    assert state.learnt == [max(0, len(DAYS) - step) for step in range(1, STEPS + 1)]
    assert state.learnt_until[0] == rows[-2].cutoff


async def test_an_outcome_is_learnt_once_whoever_tells_it_again(truth: Truth, db: AsyncSession) -> None:
    """Neither it nor an older one moves the state a second time."""
    champion = await truth.champion()
    day = windows_at([300])[0].cutoff
    subject, missed = (champion.bundle_id, "AAPL"), np.array([1.0, 1.0, 0.0, 0.0])
    lesson = Lesson(day, 5, missed)
    for lessons in ([lesson], [lesson, lesson], [lesson._replace(cutoff=day.replace(year=2012))]):
        teacher = Teacher(truth.tools.settings)
        await teacher.read([champion.bundle_id])
        await teacher.teach(db, {subject: lessons})
        await db.commit()

    state = (await db.scalars(select(AdaptiveStateRow))).one()
    promised = np.array(champion.bundle.calibration.adaptive.alphas)
    np.testing.assert_allclose(state.alphas[4], np.clip(promised + STEP * (promised - missed), 0.005, 0.5))
    np.testing.assert_array_equal(state.alphas[5], promised)
    assert (state.learnt[4], sum(state.learnt)) == (1, 1)


async def test_no_transaction_is_open_while_a_bundle_is_read(
    truth: Truth, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network takes longer to load than scores to be written."""
    windows = windows_at([300, 302])
    await truth.publish(windows[0])
    await precompute_forecasts(truth.tools)
    await truth.publish(windows[1])
    seen = note_transactions(settings, monkeypatch, (learning, "load_bundle"))

    run = await score_final_steps(truth.tools)

    assert (run.taught, seen) == (1, {"load_bundle": 0})


async def test_a_bundle_that_is_gone_learns_nothing(truth: Truth, db: AsyncSession) -> None:
    """Scoring goes on without it."""
    windows = windows_at([300, 302])
    await truth.publish(windows[0])
    await precompute_forecasts(truth.tools)
    await truth.publish(windows[1])
    elsewhere = replace(truth.tools, settings=truth.tools.settings.model_copy(update={"bundles": Path("/nowhere")}))

    run = await score_final_steps(elsewhere)

    assert (run.scored, run.taught) == (2, 0)
