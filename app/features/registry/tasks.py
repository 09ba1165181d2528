"""Jobs about the championship. What judges is imported inside the task: who only enqueues it must not carry it."""

import asyncio
import logging
from uuid import UUID

from procrastinate import App, JobContext

from app.config import Settings
from app.core.jobs import CHALLENGE, DATA_QUEUE, TRACK_QUEUE, tools_of
from app.features.registry import crud, promotion
from app.features.registry.mirror import Mirror
from ml_lifecycle.evaluation.gate import GateVerdict, Reason

logger = logging.getLogger(__name__)

MIRROR = "mirror_aliases"


def add_tasks(app: App) -> None:
    """Let a worker judge challengers."""
    app.task(name=CHALLENGE, queue=DATA_QUEUE, pass_context=True)(challenge)


def add_mirror(app: App) -> None:
    """Let a worker of the image that has MLflow make its aliases follow the ledger."""
    mirror = Mirror()

    async def mirror_aliases(context: JobContext, timestamp: int) -> None:
        del timestamp
        await mirror.follow(tools_of(context))

    minutely = app.task(name=MIRROR, queue=TRACK_QUEUE, queueing_lock=MIRROR, lock=MIRROR, pass_context=True)
    app.periodic(cron="* * * * *")(minutely(mirror_aliases))


async def challenge(context: JobContext, challenge_id: str, bundle_id: str, asked_by: str) -> None:
    """Judge a bundle against the champion on the stored bars, and record what came of it.

    Nothing is left to do where a run before this one, of a worker that was killed, has come to its end.
    """
    tools = tools_of(context)
    async with tools.sessions() as db:
        if await crud.find_challenge(db, UUID(challenge_id)) is not None:
            return
        (champion,) = await crud.newest_promotions(db, limit=1)
    verdict = await _judge(tools.settings, bundle_id, champion.bundle_id)
    contest = promotion.Contest(UUID(challenge_id), bundle_id, champion.bundle_id, asked_by)
    async with tools.sessions() as db:
        decided = await promotion.decide(db, contest, verdict)
    logger.info("challenge %s of bundle %s: %s", challenge_id, bundle_id[:12], decided.verdict["reasons"] or "passed")


async def _judge(settings: Settings, bundle_id: str, champion_id: str) -> GateVerdict:
    from app.features.registry.judging import verdict_on

    if bundle_id == champion_id:  # promoted in another way while this waited
        return GateVerdict(refusal=Reason.CHAMPION_CHANGED, detail="it is champion already")
    return await asyncio.to_thread(verdict_on, settings, settings.bundles / bundle_id, settings.bundles / champion_id)
