"""Jobs of the chain after each close. What the steps need is imported inside: who only enqueues must not carry it."""

from procrastinate import App, JobContext

from app.core.jobs import DATA_QUEUE, tools_of

REFRESH = "refresh_final_exchanges"
FOLLOW = "follow_trainings"
STEP = "after_close_step"


def add_tasks(app: App) -> None:
    """Let a worker look at the closes, do the steps, and follow what was trained."""
    app.task(name=STEP, queue=DATA_QUEUE, pass_context=True)(do_step)
    # The calendar is asked every ten minutes rather than a clock at each close: cron knows no half days and no zones.
    refresh = app.task(name=REFRESH, queue=DATA_QUEUE, queueing_lock=REFRESH, lock=REFRESH, pass_context=True)
    app.periodic(cron="*/10 * * * *")(refresh(refresh_final_exchanges))
    follow = app.task(name=FOLLOW, queue=DATA_QUEUE, queueing_lock=FOLLOW, lock=FOLLOW, pass_context=True)
    app.periodic(cron="* * * * *")(follow(follow_trainings))


async def refresh_final_exchanges(context: JobContext, timestamp: int) -> None:
    """Begin the chain of every exchange that has become final, and go on with what is open."""
    from app.features.after_close import service

    del timestamp
    await service.look_at_closes(tools_of(context))


async def do_step(context: JobContext, run_id: int, step: str) -> None:
    """Do one step of one run."""
    from app.features.after_close import service
    from app.features.after_close.steps import Step

    await service.run_step(tools_of(context), run_id, Step(step))


async def follow_trainings(context: JobContext, timestamp: int) -> None:
    """See what became of the trainings that rules asked for."""
    from app.features.after_close import retraining

    del timestamp
    await retraining.follow_trainings(tools_of(context))
