"""The job that counts answers, so that nobody who asks for the counts has to read the log."""

from procrastinate import App, JobContext

from app.core.jobs import DATA_QUEUE, tools_of
from app.features.monitoring.counting import count_answers as count

COUNT_ANSWERS = "count_answers"


def add_tasks(app: App) -> None:
    """Let a worker count."""
    task = app.task(name=COUNT_ANSWERS, queue=DATA_QUEUE, queueing_lock=COUNT_ANSWERS, pass_context=True)
    app.periodic(cron="* * * * *")(task(count_answers))


async def count_answers(context: JobContext, timestamp: int) -> None:
    """Count what has been answered since the last time."""
    del timestamp
    await count(tools_of(context))
