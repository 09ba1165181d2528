"""What Prometheus is told from the database: true, bounded in time, and never waited for."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import defer
from app.features.monitoring import database_figures
from app.features.monitoring.database_figures import DatabaseFigures, months_ahead
from app.features.registry.service import ensure_reference_champion
from app.features.training.service import recover
from app.models.drift import DriftReport
from app.models.live_skill import LiveSkill
from app.models.training_job import TrainingJob

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=1)

Told = Mapping[tuple[str, tuple[str, ...]], float]


def told(figures: DatabaseFigures) -> Told:
    """Value by name without the common prefix, and labels' values."""
    return {
        (sample.name.removeprefix("closecast_"), tuple(sample.labels.values())): sample.value
        for family in figures.collect()
        for sample in family.samples
    }


@pytest.fixture
def figures(sessions: async_sessionmaker[AsyncSession]) -> DatabaseFigures:
    """Read when a test says so."""
    return DatabaseFigures(sessions)


async def test_an_empty_installation_has_figures_and_none_of_what_is_not_measured(figures: DatabaseFigures) -> None:
    await figures.read()

    found = told(figures)
    assert found["database_up", ()] == 1.0
    assert found["queue_jobs", ("data", "todo")] == found["training_jobs", ("train", "running")] == 0.0
    assert found["live_tickers", ()] == found["source_circuit_open", ("yfinance",)] == 0.0
    names = {name for name, _ in found}
    assert names.isdisjoint({"live_coverage", "live_relative_mae", "drift_columns", "newest_bar_age_seconds"})


async def test_jobs_are_counted_by_state_and_a_lease_that_is_over_is_told(
    db: AsyncSession, figures: DatabaseFigures
) -> None:
    await defer(db, "collect", lock="AAPL", ticker="AAPL", asked_at="now")
    await db.execute(text("UPDATE procrastinate_events SET at = now() - interval '90 seconds'"))
    running = {"kind": "train", "reason": "asked", "spec": {}, "status": "running"}
    ended = {"kind": "tune", "reason": "asked", "spec": {}, "status": "succeeded"}
    db.add_all(
        [
            TrainingJob(**running, lease_until=LONG_AGO),
            TrainingJob(**running, lease_until=NOW + timedelta(hours=1)),
            TrainingJob(**ended, finished_at=LONG_AGO),
            TrainingJob(**ended, finished_at=NOW - timedelta(days=2)),
        ]
    )
    await db.commit()

    await figures.read()

    found = told(figures)
    assert found["queue_jobs", ("data", "todo")] == 1.0
    assert found["queue_oldest_seconds", ("data",)] == pytest.approx(90.0, abs=20.0)
    assert found["training_jobs", ("train", "running")] == 2.0
    assert found["training_jobs", ("tune", "succeeded")] == 1.0
    assert found["training_leases_expired", ()] == 1.0


async def test_live_skill_and_coverage_are_those_of_the_champion(
    db: AsyncSession, settings: Settings, figures: DatabaseFigures
) -> None:
    """The p-value is absent where there were too few days to test."""
    await ensure_reference_champion(db, settings)
    bundle_id = await db.scalar(text("SELECT bundle_id FROM promotions"))
    for horizon, p in ((1, 0.004), (5, None)):
        measured = {
            "scored": 700,
            "voids": 3,
            "relative_mae": 0.98,
            "skill": {"pinball_skill": 0.02},
            "coverage": [{"level": 0.8, "coverage": 0.71, "n_effective": 200, "p": p}],
        }
        db.add(
            LiveSkill(kind="live", bundle_id=bundle_id, horizon=horizon, days=365, figures=measured, computed_at=NOW)
        )
    await db.commit()

    await figures.read()

    found = told(figures)
    assert found["live_forecasts_scored", ("1",)] == 700.0
    assert found["live_forecasts_void", ("1",)] == 3.0
    assert found["live_relative_mae", ("5",)] == 0.98
    assert found["live_skill_gain", ("5",)] == 0.02
    assert found["live_coverage", ("1", "80")] == found["live_coverage", ("5", "80")] == 0.71
    assert found["live_coverage_p", ("1", "80")] == 0.004
    assert ("live_coverage_p", ("5", "80")) not in found
    assert found["champion_promoted_timestamp_seconds", ()] == pytest.approx(time.time(), abs=60.0)


async def test_the_newest_drift_report_is_told(db: AsyncSession, figures: DatabaseFigures) -> None:
    now = datetime.now(UTC)  # this module was read long before it came to this test
    for hours, recommendation in ((50, "ok"), (2, "retrain")):
        columns = [{"column": "gap", "severity": "far"}, {"column": "volume", "severity": None}]
        db.add(
            DriftReport(
                made_at=now - timedelta(hours=hours),
                asked_by="schedule",
                production_version=1,
                days=250,
                tickers=["AAPL"],
                columns=columns,
                coverage=[],
                recommendation=recommendation,
                reason="gap is far",
                causes=["inputs"],
            )
        )
    await db.commit()

    await figures.read()

    found = told(figures)
    assert [found["drift_recommendation", (each,)] for each in ("ok", "watch", "retrain")] == [0.0, 0.0, 1.0]
    assert (found["drift_columns", ("far",)], found["drift_columns", ("moved",)]) == (1.0, 0.0)
    assert found["drift_report_age_seconds", ()] == pytest.approx(7200.0, abs=120.0)


async def test_an_open_breaker_and_partitions_are_told(db: AsyncSession, app: FastAPI) -> None:
    await db.execute(text("INSERT INTO source_circuits (source, state) VALUES ('yfinance', 'opened')"))
    await db.commit()

    await app.state.database_figures.read()

    found = told(app.state.database_figures)
    assert found["source_circuit_open", ("yfinance",)] == 1.0
    assert found["log_partitions_ahead", ()] == 3.0


def test_a_gap_in_the_partitions_ends_what_is_ahead() -> None:
    names = {f"prediction_log_2026_{month}" for month in ("11", "12")} | {"prediction_log_2027_02"}

    assert months_ahead(names, datetime(2026, 11, 30, tzinfo=UTC)) == 1
    assert months_ahead(names, datetime(2027, 1, 1, tzinfo=UTC)) == -1


async def test_a_database_that_does_not_answer_is_told_and_holds_up_no_scrape(
    app: FastAPI, client: httpx.AsyncClient, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before goes on being told, until it is too old."""
    figures: DatabaseFigures = app.state.database_figures
    await figures.read()
    await db.execute(text("LOCK TABLE promotions IN ACCESS EXCLUSIVE MODE"))

    reading = asyncio.create_task(figures.read())
    await asyncio.sleep(0.1)
    scraped = (await client.get("/metrics")).text
    held_up = reading.done()
    await asyncio.wait_for(reading, 30)  # the lock is held for ever
    await db.rollback()

    assert "closecast_database_up 1.0" in scraped
    assert not held_up
    assert told(figures)["database_up", ()] == 0.0
    assert ("live_tickers", ()) in told(figures)
    monkeypatch.setattr(database_figures, "TOLD_FOR_SECONDS", 0.0)
    assert told(figures).keys() == {("database_up", ()), ("figures_age_seconds", ())}


async def test_a_lease_that_ran_out_is_counted_once_by_whoever_notices(db: AsyncSession) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("closecast_training_lease_expiries_total") or 0.0

    before = counted()
    db.add(TrainingJob(kind="train", reason="asked", spec={}, status="running", attempt=1, lease_until=LONG_AGO))
    await db.commit()

    for _ in range(2):
        await recover(db, patience=timedelta(hours=1))

    assert counted() == before + 1
