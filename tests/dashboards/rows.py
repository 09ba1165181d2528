"""What a year of operation leaves in the database, where a minute of load leaves none: scores, drift, jobs, chains."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import numpy as np
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.market_data.service import publish_windows
from app.features.track_record.figures import refresh_figures
from app.models.after_close import ChainRun, ChainStep, RetrainDecision
from app.models.answer_counts import AnswerCount
from app.models.base import Base
from app.models.challenge import Challenge
from app.models.drift import DriftReport
from app.models.score import ScoreDay
from app.models.training_job import TrainingJob
from app.supervisor.one_session import own_sessions
from ml_lifecycle.export.manifest import HORIZONS
from tests.app.windows import fresh_window

SCORED_DAYS = 240
TICKERS = ("AAPL", "PETR4.SA", "CMIG4.SA")


def add_rows(database_url: str) -> None:
    """Add them, and publish fresh windows of live tickers."""
    asyncio.run(_add(Settings(_env_file=None, database_url=SecretStr(database_url)), datetime.now(UTC)))


async def _add(settings: Settings, now: datetime) -> None:
    async with own_sessions(settings) as sessions:
        async with sessions() as db:
            bundle = await _fill(db, now)
        # As the worker does after scoring; it may do it again meanwhile, and finds the same.
        await refresh_figures(WorkerTools(settings, sessions), [("live", bundle)])


async def _fill(db: AsyncSession, now: datetime) -> str:
    """Add the rows; gives the bundle that they are about."""
    await publish_windows(db, [fresh_window(ticker) for ticker in TICKERS])
    bundle: str = (await db.execute(text("SELECT bundle_id FROM promotions"))).scalar_one()
    run = ChainRun(exchange="XNYS", trading_day=now.date(), opened_at=now)
    db.add(run)
    await db.flush()
    db.add_all([*_of_model(bundle, now), *_of_jobs(run.id, now)])
    await db.commit()
    return bundle


def _of_model(bundle: str, now: datetime) -> Iterable[Base]:
    rng = np.random.default_rng(7)
    days = np.busday_offset(np.datetime64(now.date(), "D"), -np.arange(SCORED_DAYS), roll="backward").tolist()
    for horizon in HORIZONS:
        yield from (_score_day(bundle, horizon, day, rng.normal(1.0, 0.05)) for day in days)
    yield DriftReport(
        asked_by="schedule",
        bundle_id=bundle,
        production_version=1,
        days=250,
        tickers=list(TICKERS),
        columns=[{"column": "gap", "psi": 0.3, "ks": 0.2, "effective_n": 90, "p_value": 0.001, "severity": "far"}],
        coverage=[],
        recommendation="watch",
        reason="gap is far",
        causes=["inputs"],
    )
    yield Challenge(
        bundle_id=bundle,
        champion_id=bundle,
        decided_by="the gate",
        passed=False,
        test_number=1,
        p_value=0.3,
        verdict={},
    )


def _score_day(bundle: str, step: int, day: date, luck: float) -> ScoreDay:
    held = {f"inside_{level}": n for level, n in ((50, 6), (80, 9), (90, 10), (95, 11))}
    return ScoreDay(
        kind="live",
        bundle_id=bundle,
        step=step,
        trading_day=day,
        n=12,
        voids=1,
        absolute_error=0.12 * luck,
        naive_absolute_error=0.13,
        compared=12,
        pinball=0.05 * luck,
        compared_pinball=0.05 * luck,
        naive_pinball=0.06,
        directions=12,
        direction_hits=7,
        **held,
    )


def _of_jobs(run_id: int, now: datetime) -> Iterable[Base]:
    began = now - timedelta(minutes=9)
    yield ChainStep(run_id=run_id, step="collect", state="done", attempts=1, started_at=began, finished_at=now)
    yield RetrainDecision(trains=False, rules=[], reason="nothing speaks for it")
    yield TrainingJob(
        id=uuid4(), kind="train", reason="asked", spec={}, status="succeeded", started_at=began, finished_at=now
    )
    yield AnswerCount(
        slice_at=now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0),
        answers=90,
        latency_sum_ms=180.0,
        latency_min_ms=1.0,
        latency_max_ms=9.0,
        latency_buckets={},
        newest_at=now,
    )
