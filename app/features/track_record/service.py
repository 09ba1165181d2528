"""The truth about forecasts: scored when their bars are final, learnt from, summed up, and sealed against changes."""

import logging
from dataclasses import dataclass

from app.core.jobs import WorkerTools
from app.features.track_record.chain import seal_days
from app.features.track_record.figures import refresh_figures

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredRun:
    """What one scoring run did.

    Attributes
    ----------
    scored, void : steps that got their row in this run.
    taught : adaptive states that learnt from them.
    by_bundle : scored steps of each bundle.
    sealed : days that were added to the hash chain.
    """

    scored: int
    void: int
    taught: int
    by_bundle: dict[str, int]
    sealed: int


async def score_final_steps(tools: WorkerTools) -> ScoredRun:
    """Score every frozen step whose bar is final, once; then adaptive states, figures and hash chain follow.

    Repeating it, or running it in two workers at once, scores nothing twice. Worker and command line only: it reads
    calendars and, where runs were missed, past data versions.
    """
    from app.features.track_record.scoring_run import score_open_steps

    counted = await score_open_steps(tools)
    await refresh_figures(tools, counted.changed)
    sealed = await seal_days(tools)
    logger.info("%d steps scored, %d void, %d states taught", counted.scored, counted.void, counted.taught)
    return ScoredRun(counted.scored, counted.void, counted.taught, dict(counted.by_bundle), sealed)
