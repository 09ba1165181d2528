"""Jobs about what came of forecasts."""

from procrastinate import App, JobContext

from app.core.jobs import DATA_QUEUE, SCORE, tools_of
from app.features.track_record import service


def add_tasks(app: App) -> None:
    """Let a worker score."""
    task = app.task(name=SCORE, queue=DATA_QUEUE, queueing_lock=SCORE, lock=SCORE, pass_context=True)
    # The chain after each close scores too; this is for hindcasts, for sealing, and for what a stopped worker left.
    app.periodic(cron="47 * * * *")(task(score_final_steps))


async def score_final_steps(context: JobContext, timestamp: int | None = None) -> None:
    """Score what has become final."""
    del timestamp
    await service.score_final_steps(tools_of(context))
