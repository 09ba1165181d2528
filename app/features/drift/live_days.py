"""Scored days of one bundle's live forecasts, one step ahead, as arrays."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.score import ScoreDay
from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray

LIVE, STEP = "live", 1
LEVELS = (0.5, 0.8, 0.95)
INSIDE = tuple(f"inside_{100 * level:.0f}" for level in LEVELS)


@dataclass(frozen=True)
class LiveDays:
    """By day, oldest first: ``days relative_errors forecasts (n,)``, ``inside (n, n_levels)``.

    ``relative_errors``: the sum of absolute errors over the naive's. A day on which no price moved is left out: the
    naive forecast made no error.
    """

    days: DayArray
    relative_errors: FloatArray
    forecasts: IntArray
    inside: IntArray

    @classmethod
    async def read(cls, db: AsyncSession, bundle_id: str) -> Self:
        """As they are summed up by the scoring."""
        scored = (
            select(ScoreDay)
            .where(ScoreDay.kind == LIVE, ScoreDay.bundle_id == bundle_id, ScoreDay.step == STEP)
            .where(ScoreDay.n > 0, ScoreDay.naive_absolute_error > 0.0)
            .order_by(ScoreDay.trading_day)
        )
        rows = (await db.scalars(scored)).all()
        return cls(
            days=np.array([row.trading_day for row in rows], dtype="datetime64[D]"),
            relative_errors=np.array([row.absolute_error / row.naive_absolute_error for row in rows]),
            forecasts=np.array([row.n for row in rows], dtype=np.int64),
            inside=np.array([[getattr(row, name) for name in INSIDE] for row in rows], dtype=np.int64).reshape(
                -1, len(INSIDE)
            ),
        )
