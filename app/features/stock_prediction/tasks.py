"""Jobs about forecasts made ahead, about the prediction log and about shadows."""

from datetime import UTC, datetime

from procrastinate import App, JobContext

from app.core.jobs import DATA_QUEUE, PRECOMPUTE, tools_of
from app.features.stock_prediction.partitions import drop_old_partitions, ensure_partitions

PARTITIONS = "ensure_log_partitions"
RETENTION = "drop_old_log_partitions"
SHADOWS = "forecast_with_shadows"


def add_tasks(app: App) -> None:
    """Let a worker run the jobs about forecasts made ahead, about the prediction log and about shadows."""
    task = app.task(name=PARTITIONS, queue=DATA_QUEUE, queueing_lock=PARTITIONS, pass_context=True)
    app.periodic(cron="17 3 * * *")(task(ensure_log_partitions))  # UTC; API processes make them at start-up too
    drop = app.task(name=RETENTION, queue=DATA_QUEUE, queueing_lock=RETENTION, pass_context=True)
    app.periodic(cron="37 3 * * *")(drop(drop_old_log_partitions))
    follow = app.task(name=SHADOWS, queue=DATA_QUEUE, queueing_lock=SHADOWS, lock=SHADOWS, pass_context=True)
    ahead = app.task(name=PRECOMPUTE, queue=DATA_QUEUE, queueing_lock=PRECOMPUTE, lock=PRECOMPUTE, pass_context=True)
    # Each collect run asks for it, too; this is for a new champion, and for what a stopped worker left.
    app.periodic(cron="*/10 * * * *")(ahead(precompute_forecasts))
    app.periodic(cron="* * * * *")(follow(forecast_with_shadows))  # a live one counts if made before the next opening


async def ensure_log_partitions(context: JobContext, timestamp: int) -> None:
    """Make the log's partitions of the next three months."""
    async with tools_of(context).sessions() as db:
        await ensure_partitions(db, datetime.fromtimestamp(timestamp, UTC))


async def drop_old_log_partitions(context: JobContext, timestamp: int) -> None:
    """Drop the log's months that are older than the settings keep; without the setting none is."""
    tools = tools_of(context)
    if tools.settings.log_retention_months is None:
        return
    async with tools.sessions() as db:
        now = datetime.fromtimestamp(timestamp, UTC)
        await drop_old_partitions(db, now, kept_months=tools.settings.log_retention_months)


async def forecast_with_shadows(context: JobContext, timestamp: int) -> None:
    """Forecast with every shadow what the champion was asked for."""
    from app.features.stock_prediction import shadowing

    del timestamp
    await shadowing.forecast_with_shadows(tools_of(context))


async def precompute_forecasts(context: JobContext, timestamp: int | None = None) -> None:
    """Forecast what is stored and not forecast yet."""
    from app.features.stock_prediction import precomputing

    del timestamp
    await precomputing.precompute_forecasts(tools_of(context))
