"""Intervals that follow their own errors: what the outcomes of live forecasts teach, and what is used next.

One state per bundle and ticker, as `ml_lifecycle.evaluation.adaptive.adaptive_along` moves it along one series. It
learns in the transaction that inserts the scores, so each outcome once.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.models.adaptive import AdaptiveStateRow
from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.conformal import AdaptiveState, nominal_alphas
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.manifest import STEPS

logger = logging.getLogger(__name__)

Subject = tuple[str, str]  # bundle and ticker


class Lesson(NamedTuple):
    """One scored step: 1 for each interval that missed, 0 for each that held, widest first."""

    cutoff: date
    step: int
    missed: FloatArray


@dataclass
class _Learner:
    """A state while it learns; arrays as in ``AdaptiveStateRow``."""

    state: AdaptiveState
    until: list[date | None]
    learnt: list[int]

    def learn(self, lesson: Lesson, promised: Sequence[float], step_size: float) -> None:
        """Move the α of one step, unless it has seen this outcome or a later one."""
        row, last = lesson.step - 1, self.until[lesson.step - 1]
        if last is not None and lesson.cutoff <= last:
            return
        missed = np.full_like(self.state.alphas, np.nan)
        missed[row] = lesson.missed
        self.state = self.state.after(missed, promised, step_size)
        self.until[row], self.learnt[row] = lesson.cutoff, self.learnt[row] + 1


class Teacher:
    """Teaches states of the bundles that adapt; one per scoring run, so that each bundle is read once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bundles: dict[str, Bundle | None] = {}

    async def read(self, bundle_ids: Collection[str]) -> None:
        """Load what is not loaded yet. A bundle that cannot be loaded learns nothing: nobody is answered by it."""
        for bundle_id in sorted(set(bundle_ids) - self._bundles.keys()):
            try:
                self._bundles[bundle_id] = await asyncio.to_thread(load_bundle, self._settings.bundles / bundle_id)
            except BundleRefusedError as error:
                logger.warning("the intervals of bundle %s learn nothing: %s", bundle_id[:12], error.reason)
                self._bundles[bundle_id] = None

    async def teach(self, db: AsyncSession, lessons: Mapping[Subject, Sequence[Lesson]]) -> int:
        """Let each state learn what it has not seen, in the order of the cutoffs; gives the number of states moved.

        Its bundles must have been read. The caller commits.
        """
        known = await _read(db, lessons.keys())
        taught = []
        for (bundle_id, ticker), news in sorted(lessons.items()):
            bundle = self._bundles[bundle_id]
            if bundle is None:
                continue
            learner = known.get((bundle_id, ticker)) or _beginner(bundle)
            promised, step_size = nominal_alphas(bundle.manifest.quantile_levels), bundle.calibration.adaptive.step
            for lesson in sorted(news, key=lambda one: (one.cutoff, one.step)):
                learner.learn(lesson, promised, step_size)
            taught.append(_values(bundle_id, ticker, learner))
        await _write(db, taught)
        return len(taught)


async def alphas_in_use(db: AsyncSession, bundle: Bundle, tickers: Sequence[str]) -> dict[str, FloatArray] | None:
    """The α of each ticker's next live forecast, shape ``(30, n_intervals)``; None where the bundle's are fixed."""
    if not bundle.calibration.adaptive_choice.on:
        return None
    known = await _read(db, [(bundle.bundle_id, ticker) for ticker in tickers])
    first = _beginner(bundle).state.alphas
    return {
        ticker: known[bundle.bundle_id, ticker].state.alphas if (bundle.bundle_id, ticker) in known else first
        for ticker in tickers
    }


def _beginner(bundle: Bundle) -> _Learner:
    alphas = np.tile(np.array(bundle.calibration.adaptive.alphas, dtype=np.float64), (STEPS, 1))
    return _Learner(AdaptiveState(alphas), [None] * STEPS, [0] * STEPS)


async def _read(db: AsyncSession, subjects: Collection[Subject]) -> dict[Subject, _Learner]:
    row = AdaptiveStateRow
    wanted = select(row.bundle_id, row.ticker, row.alphas, row.learnt_until, row.learnt)
    found = await db.execute(wanted.where(tuple_(row.bundle_id, row.ticker).in_(sorted(subjects)))) if subjects else ()
    return {
        (bundle_id, ticker): _Learner(AdaptiveState(np.array(alphas)), list(until), list(learnt))
        for bundle_id, ticker, alphas, until, learnt in found
    }


def _values(bundle_id: str, ticker: str, learner: _Learner) -> dict[str, object]:
    return {
        "bundle_id": bundle_id,
        "ticker": ticker,
        "alphas": learner.state.alphas.tolist(),
        "learnt_until": learner.until,
        "learnt": learner.learnt,
    }


async def _write(db: AsyncSession, taught: Sequence[Mapping[str, object]]) -> None:
    if not taught:
        return
    rows = insert(AdaptiveStateRow)
    new = rows.excluded
    changed = {name: new[name] for name in ("alphas", "learnt_until", "learnt")}
    key = [AdaptiveStateRow.bundle_id, AdaptiveStateRow.ticker]
    await db.execute(rows.on_conflict_do_update(index_elements=key, set_=changed), list(taught))
