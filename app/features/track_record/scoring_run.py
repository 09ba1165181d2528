"""Every frozen step whose bar is final is scored once, from the first data version that holds the bar. Worker only.

Bars, calendars and bundles are read, and losses worked out, while nothing is locked (`looking`); what was found is then
written in one short transaction, unless another run has gone through one of the tickers meanwhile: then it is looked
for anew.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import WorkerTools
from app.features.track_record import crud
from app.features.track_record.learning import Lesson, Subject, Teacher
from app.features.track_record.looking import LIVE, Look, Looker
from app.features.track_record.new_scores import NewScores
from app.features.track_record.outcome_store import OutcomeStore


@dataclass
class Counted:
    """What a run did."""

    scored: int = 0
    void: int = 0
    taught: int = 0
    by_bundle: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    changed: set[tuple[str, str]] = field(default_factory=set)  # kinds and bundles that got rows


async def score_open_steps(tools: WorkerTools) -> Counted:
    """Score, void and learn, ticker by ticker, a hundred in one transaction; a second run finds nothing to do."""
    counted, teacher = Counted(), Teacher(tools.settings)
    async with tools.sessions() as db:
        looker = Looker(tools, OutcomeStore(tools.settings), await crud.newest_days(db))
    after = ""
    while (look := await looker.look(after)) is not None:
        if await _write(tools, look, teacher, counted):
            after = look.series[-1].ticker
    return counted


async def _write(tools: WorkerTools, look: Look, teacher: Teacher, counted: Counted) -> bool:
    """One transaction; False, and nothing is written, where another run was faster."""
    if not look.moved:
        return True
    await teacher.read(_adapting(look.scores))
    async with tools.sessions() as db:
        await crud.lock_work(db, crud.Work.SCORING)
        if await crud.gone_through_since(db, look.series):
            return False
        lessons: dict[Subject, list[Lesson]] = defaultdict(list)
        for scores in look.scores:
            added = await _add(db, scores)
            _count(counted, scores, len(added))
            for subject, lesson in _lessons(scores, added):
                lessons[subject].append(lesson)
        counted.taught += await teacher.teach(db, lessons)
        await crud.remember_scored(db, look.moved, look.at)
        await db.commit()
    return True


def _adapting(many: Sequence[NewScores]) -> set[str]:
    """Bundles of live forecasts whose intervals learn."""
    live = [scores for scores in many if scores.kind == LIVE and scores.missed is not None]
    return {scores.bundle_id for scores in live if any(one.forecast.adapts for one in scores.steps)}


async def _add(db: AsyncSession, scores: NewScores) -> set[tuple[UUID, int]]:
    table_id, number = scores.version
    return await crud.add_scores(
        db,
        scores.columns,
        kind=scores.kind,
        bundle_id=scores.bundle_id,
        data_table_id=table_id,
        data_version=number,
    )


def _count(counted: Counted, scores: NewScores, added: int) -> None:
    if not added:
        return
    counted.changed.add((scores.kind, scores.bundle_id))
    if scores.missed is None:
        counted.void += added
    else:
        counted.scored += added
        counted.by_bundle[scores.bundle_id] += added


def _lessons(scores: NewScores, added: set[tuple[UUID, int]]) -> Iterator[tuple[Subject, Lesson]]:
    """What live forecasts whose intervals learn have just been told."""
    if scores.missed is None or scores.kind != LIVE:
        return
    for one, flags in zip(scores.steps, scores.missed, strict=True):
        if one.forecast.adapts and (one.forecast.id, one.step) in added:
            yield (scores.bundle_id, one.forecast.ticker), Lesson(one.forecast.cutoff, one.step, flags)
