"""Lines about jobs that are over, and months of the prediction log."""

from collections.abc import Sequence
from uuid import UUID

from app.features.cleaning import crud
from app.features.cleaning.items import Item, Kind, Workplace
from app.features.stock_prediction.partitions import drop_old_partitions, old_partitions


class JobEvents:
    """Progress and log of jobs; that they ran, how they ended and what they gave stays."""

    kind = Kind.JOB_EVENTS

    async def find(self, at: Workplace) -> list[Item]:
        """Jobs that were over long ago and still have such lines."""
        days = at.settings.kept_job_event_days
        jobs = await crud.old_job_events(at.db, at.days_ago(days))
        return [Item(Kind.JOB_EVENTS, str(job), f"{n} lines of a job over for {days} days") for job, n in jobs]

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Delete them, job by job."""
        for item in items:
            await crud.delete_job_events(at.db, UUID(item.name))
            await at.db.commit()
        return list(items)


class LogMonths:
    """Months of the prediction log, where the settings keep so many; frozen forecasts and scores stay."""

    kind = Kind.LOG

    async def find(self, at: Workplace) -> list[Item]:
        """Partitions of months that ended too long ago."""
        months = at.settings.log_retention_months
        if months is None:
            return []
        names = await old_partitions(at.db, at.now, kept_months=months)
        return [Item(Kind.LOG, name, f"a month over {months} months ago") for name in names]

    async def remove(self, at: Workplace, items: Sequence[Item]) -> list[Item]:
        """Drop them; one that somebody reads all the while stays until tomorrow."""
        months = at.settings.log_retention_months
        if months is None or not items:
            return []
        dropped = await drop_old_partitions(at.db, at.now, kept_months=months)
        return [item for item in items if item.name in dropped]
