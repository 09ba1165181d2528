"""Trainings over HTTP: what was asked for becomes a job, and a job becomes an answer."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.paging import decode_cursor, encode_cursor, page_of
from app.core.security import Principal
from app.features.configuration import service as configuration
from app.features.configuration.errors import InvalidConfigurationError
from app.features.market_data.service import newest_day, require_bars
from app.features.training import crud, service
from app.features.training.errors import JobEndedError, JobNotFoundError
from app.features.training.schemas import JobAccepted, JobLine, JobRead, JobResult, TrainWish, UpdateWish
from app.models.training_job import JobKind, JobStatus, TrainingJob
from app.models.user import Scope
from app.schemas.page import Page
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.config_document import DataChoice

FEW_TICKERS = 10  # so few have hardly a batch to learn from, unless every day of theirs is a cutoff
MESSAGES = {
    JobStatus.QUEUED: "waits for a worker; follow it at /train/{id}",
    JobStatus.RUNNING: "runs; follow it at /train/{id}/events",
    JobStatus.SUCCEEDED: "has succeeded",
    JobStatus.FAILED: "has failed: {failure}",
    JobStatus.CANCELLED: "was cancelled",
}
FIGURES = ("final_train_loss", "final_val_loss", "val_rmse", "val_mae", "naive_val_rmse", "naive_val_mae")


async def train(db: AsyncSession, wish: TrainWish, user_id: UUID, *, gate_days: int) -> JobAccepted:
    """Have a network trained, in this transaction, and commit.

    Parameters
    ----------
    gate_days : trading days that it leaves to the gate, where the defaults do not say how many.

    Raises
    ------
    NoChampionConfigError : nothing was named, and the champion is the reference.
    InvalidConfigurationError : no network can be trained like this, or on so few days.
    TickerNotStoredError, NothingStoredError, TrainingInProgressError, NoChampionError
    """
    spec = await (_like_the_champion(db) if wish.is_empty else _as_wished(db, wish, gate_days))
    return await _start(db, JobKind.TRAIN, spec, user_id, "POST /train")


async def update(db: AsyncSession, wish: UpdateWish, user_id: UUID) -> JobAccepted:
    """Have the champion learn from newer bars, in this transaction, and commit.

    Raises
    ------
    NoChampionConfigError : the champion is the reference.
    TrainingInProgressError, NoChampionError
    """
    await configuration.champion_training(db)
    return await _start(db, JobKind.UPDATE, wish.model_dump(), user_id, "POST /train/update")


async def cancel(db: AsyncSession, job_id: UUID, caller: Principal) -> JobRead:
    """End a job that waits or runs, and commit; the worker ends its process within seconds.

    Raises
    ------
    JobNotFoundError, JobEndedError
    """
    job = await find(db, job_id, caller)
    if await crud.cancel(db, job_id):
        await crud.add_event(db, job_id, "status", {"status": JobStatus.CANCELLED})
        await db.commit()
    elif (job := await find(db, job_id, caller)).status != JobStatus.CANCELLED:
        raise JobEndedError(job_id, job.status)
    return shown(await find(db, job_id, caller))


async def find(db: AsyncSession, job_id: UUID, caller: Principal) -> TrainingJob:
    """A job of the caller's; an administrator's are all.

    Raises
    ------
    JobNotFoundError
    """
    job = await crud.find_job(db, job_id, owner=_owner(caller))
    if job is None:
        raise JobNotFoundError(job_id)
    return job


async def list_jobs(db: AsyncSession, caller: Principal, *, cursor: str | None, limit: int) -> Page[JobRead]:
    """One page of the caller's jobs, newest first.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_jobs(db, owner=_owner(caller), limit=limit + 1, before=decode_cursor(cursor))
    return page_of(rows, limit, item=shown, cursor=lambda last: encode_cursor(last.created_at, last.job_id))


async def read_lines(db: AsyncSession, job_id: UUID, caller: Principal, *, after: int, limit: int) -> Page[JobLine]:
    """One page of what a job told in words, oldest first.

    Raises
    ------
    JobNotFoundError
    """
    await find(db, job_id, caller)
    rows = await crud.events_after(db, job_id, after, limit=limit + 1, kind="log")
    return page_of(
        rows,
        limit,
        item=lambda event: JobLine(seq=event.seq, at=event.at, text=event.payload["text"]),
        cursor=lambda last: str(last.seq),
    )


def accepted(job: TrainingJob) -> JobAccepted:
    """What is answered when a job was asked for."""
    told = shown(job)
    return JobAccepted(**told.model_dump(include=set(JobAccepted.model_fields) - {"metrics"}))


def shown(job: TrainingJob) -> JobRead:
    """What is told of a job."""
    status = JobStatus(job.status)
    result = None if job.result is None else JobResult.model_validate(job.result)
    return JobRead(
        task_id=job.id,
        job_id=job.id,
        kind=JobKind(job.kind),
        status=status,
        message=f"{job.kind} {MESSAGES[status].format(id=job.id, failure=job.failure)}",
        timestamp=job.finished_at or job.started_at or job.created_at,
        reason=job.reason,
        attempt=job.attempt,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        progress=job.progress,
        result=result,
        metrics=result and {name: getattr(result, name) for name in FIGURES},
        failure=job.failure,
    )


async def _like_the_champion(db: AsyncSession) -> dict[str, Any]:
    content, tickers = await configuration.champion_training(db)
    await require_bars(db, tickers)
    return {"content": content, "tickers": tickers}


async def _as_wished(db: AsyncSession, wish: TrainWish, gate_days: int) -> dict[str, Any]:
    """The defaults with what was named; validated here, so that nothing waits that cannot be trained."""
    defaults = await configuration.read_defaults(db)
    document = configuration.document_of(defaults.model_dump(include={"metadata", "model", "training", "data"}))
    tickers = wish.named_tickers or list(document.data.tickers)
    await require_bars(db, tickers)
    changes = configuration.given(wish, wish.hyperparameters)
    if 0 < len(wish.named_tickers) <= FEW_TICKERS:
        changes["every_days"] = 1
    config = configuration.validated(document, **changes).leaving_to_gate(gate_days)
    named = {"start_date": wish.start_date, "end_date": wish.end_date}
    data = document.data.model_copy(update={name: day for name, day in named.items() if day is not None})
    await _require_days(db, config, data.model_copy(update={"tickers": tuple(tickers)}))
    return {
        "content": {**document.config, **changes},
        "tickers": tickers,
        **data.model_dump(mode="json", include={"start_date", "end_date", "data_version"}),
    }


async def _require_days(db: AsyncSession, config: TrainingConfig, data: DataChoice) -> None:
    """Refuse bars of too few days; how many trading days there are at most is known without a calendar."""
    known = data.end_date, await newest_day(db, data.tickers)
    last = min((day for day in known if day is not None), default=None)
    if data.start_date is None or last is None:
        return
    most = max(0, ((last - data.start_date).days + 1) * 5 // 7 + 2)  # five days a week, and two to be sure
    if most < config.fewest_days:
        raise InvalidConfigurationError(
            f"from {data.start_date} to {last} there are at most {most} trading days, and {config.fewest_days} are "
            f"needed: a window takes {config.input_spec.history_needed} bars, its outcome and the parts after it the "
            f"others, of which {config.gate_days} are left to the gate"
        )


async def _start(db: AsyncSession, kind: JobKind, spec: dict[str, Any], user_id: UUID, route: str) -> JobAccepted:
    job = await service.start_job(db, kind=kind, spec=spec, owner=user_id, reason=f"user {user_id}: {route}")
    told = accepted(job)
    await db.commit()
    return told


def _owner(caller: Principal) -> UUID | None:
    """Whose jobs the caller may see; None: everybody's."""
    return None if Scope.ADMIN in caller.scopes else caller.user_id
