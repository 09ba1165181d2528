"""What a year of operation leaves in the database, where a minute of load leaves none: scores, drift, jobs, chains."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import text

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.models.after_close import ChainRun, ChainStep, RetrainDecision
from app.models.answer_counts import AnswerCount
from app.models.base import Base
from app.models.challenge import Challenge
from app.models.drift import DriftReport
from app.models.live_skill import LiveSkill
from app.models.score import ScoreDay
from app.models.training_job import TrainingJob
from app.supervisor.one_session import one_session
from tests.app.windows import fresh_window

HORIZONS = (1, 5, 10, 21, 30)
TICKERS = ("AAPL", "PETR4.SA", "CMIG4.SA")


def add_rows(database_url: str) -> None:
    """Add them, and publish fresh windows of live tickers."""
    asyncio.run(_add(Settings(_env_file=None, database_url=SecretStr(database_url)), datetime.now(UTC)))


async def _add(settings: Settings, now: datetime) -> None:
    async with one_session(settings) as db:
        await publish_windows(db, [fresh_window(ticker) for ticker in TICKERS])
        bundle = await db.scalar(text("SELECT bundle_id FROM promotions"))
        run = ChainRun(exchange="XNYS", trading_day=now.date(), opened_at=now)
        db.add(run)
        await db.flush()
        db.add_all([*_of_model(bundle, now), *_of_jobs(run.id, now)])
        await db.commit()


def _of_model(bundle: str, now: datetime) -> Iterable[Base]:
    for horizon in HORIZONS:
        figures = {
            "scored": 700,
            "voids": 3,
            "relative_mae": 0.98,
            "skill": {"label": "better_than_naive", "pinball_skill": 0.02},
            "coverage": [{"level": level, "coverage": level - 0.01, "p": 0.4} for level in (0.5, 0.8, 0.95)],
        }
        yield LiveSkill(kind="live", bundle_id=bundle, horizon=horizon, days=365, figures=figures, computed_at=now)
        yield from (_score_day(bundle, horizon, now.date() - timedelta(days=ago)) for ago in range(5))
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


def _score_day(bundle: str, step: int, day: date) -> ScoreDay:
    held = {f"inside_{level}": n for level, n in ((50, 6), (80, 9), (90, 10), (95, 11))}
    return ScoreDay(
        kind="live",
        bundle_id=bundle,
        step=step,
        trading_day=day,
        n=12,
        voids=1,
        absolute_error=0.12,
        naive_absolute_error=0.13,
        compared=12,
        pinball=0.05,
        compared_pinball=0.05,
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
