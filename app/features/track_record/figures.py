"""Sums of scores become figures: stored by the scoring run for every process, worked out on demand for a ticker."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import RowMapping

from app.core.jobs import WorkerTools
from app.features.track_record import crud
from app.models.live_skill import ALL_DAYS
from ml_lifecycle.evaluation.intervals import INTERVALS
from ml_lifecycle.export.manifest import HORIZONS
from ml_lifecycle.monitoring.live_figures import DaySums, live_figures

WINDOWS = (30, 90, 365, ALL_DAYS)  # calendar days
INSIDE = tuple(f"inside_{100 * level:.0f}" for level in INTERVALS)
SUMS = (
    "n",
    "voids",
    "absolute_error",
    "naive_absolute_error",
    "compared",
    "compared_pinball",
    "naive_pinball",
    "directions",
    "direction_hits",
)

Subject = tuple[str, str]  # kind and bundle


async def refresh_figures(tools: WorkerTools, scored: Iterable[Subject]) -> int:
    """Store the figures of what was just scored, and of what was last summed up on an earlier day; tells every process.

    Gives the number of bundles and kinds that have new figures.
    """
    now = tools.clock()
    async with tools.sessions() as db:
        outdated = await crud.outdated_figures(db, now.date())
    subjects = sorted({*scored, *outdated})
    for kind, bundle_id in subjects:
        async with tools.sessions() as db:
            await crud.lock_work(db, crud.Work.FIGURES)
            rows = await crud.sums_by_day(db, kind, bundle_id, HORIZONS)
            sums = {step: day_sums(list(days)) for step, days in groupby(rows, key=lambda row: row["step"])}
            levels = await crud.bundle_levels(db, bundle_id)
            figures = await asyncio.to_thread(_every_window, sums, levels, kind, now.date())
            await crud.replace_figures(db, kind, bundle_id, figures, now)
            await db.commit()
    return len(subjects)


def _every_window(
    sums: Mapping[int, DaySums], levels: Sequence[float], kind: str, today: date
) -> dict[tuple[int, int], dict[str, Any]]:
    """Figures by horizon and window, of the windows in which anything was resolved."""
    found = {}
    for horizon, whole in sums.items():
        for days in WINDOWS:
            inside = window_of(whole, days, today)
            if len(inside.days):
                figures = live_figures(inside, horizon=horizon, levels=levels, source=kind)
                found[horizon, days] = figures.to_dict()
    return found


def window_of(sums: DaySums, days: int, today: date) -> DaySums:
    """The sums of the last ``days`` calendar days, today included; of all days for ``ALL_DAYS``."""
    return sums if days == ALL_DAYS else sums.after(np.datetime64(today - timedelta(days=days), "D"))


def day_sums(rows: Sequence[RowMapping]) -> DaySums:
    """Rows with ``trading_day`` and every name of ``SUMS`` and ``INSIDE``, ascending, as arrays."""
    columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in SUMS}
    inside = np.array([[row[name] for name in INSIDE] for row in rows], dtype=np.float64).reshape(-1, len(INSIDE))
    days = np.array([row["trading_day"] for row in rows], dtype="datetime64[D]")
    return DaySums(days=days, inside=inside, **columns)


def relative_mae(sums: RowMapping) -> float | None:
    """Absolute errors over the naive's; None where no price moved."""
    return sums["absolute_error"] / sums["naive_absolute_error"] if sums["naive_absolute_error"] else None


def pinball_skill(sums: RowMapping) -> float | None:
    """1 − pinball loss over the naive's, of the steps that have both; None where there is none."""
    return 1.0 - sums["compared_pinball"] / sums["naive_pinball"] if sums["naive_pinball"] else None
