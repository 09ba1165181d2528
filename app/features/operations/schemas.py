"""What an administrator is told about the whole installation."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.models.training_job import JobKind, JobStatus


class Part(BaseModel):
    """A part of the answer, read from a row or given."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class SourceRead(Part):
    """A price source that was asked at least once, as all processes see it together."""

    source: str
    circuit: Literal["closed", "opened", "half-opened"] = Field(description="opened: it is not asked for a while.")
    failures: int = Field(description="In a row.")
    opened_at: datetime | None
    tokens: float | None = Field(description="Of its budget of requests, when last asked; below 0: owed.")
    asked_at: datetime | None


class SourceErrorRead(Part):
    """What lately kept tickers from being collected, as long as it is believed."""

    source: str
    cause: str
    tickers: int
    example: str = Field(description="One of the tickers.")
    detail: str = Field(description="What was said about it.")
    until: datetime = Field(description="Then all of them may be tried again.")


class DataAgeRead(Part):
    """How far the stored bars of one exchange reach."""

    exchange: str
    live: bool = Field(description="false: from files or samples, which nobody adds to.")
    tickers: int
    newest: date = Field(description="Newest trading day that any of its tickers has.")
    behind: int = Field(description="Tickers that lack it.")
    published_at: datetime = Field(description="When a window of it was last published.")


class QueueRead(Part):
    """Jobs of one task that are waiting or at work, or broke off within seven days."""

    queue: str
    task: str
    waiting: int
    running: int
    failed: int
    oldest_at: datetime | None = Field(description="When the first of those waiting was put there.")


class JobCountRead(Part):
    """Trainings and the like by status; ended ones of the last day."""

    kind: JobKind
    status: JobStatus
    jobs: int
    abandoned: int = Field(description="Of the running ones, those whose worker gave no sign of life for a lease.")


class ChainStepRead(Part):
    """One step after a close."""

    step: str
    state: Literal["waiting", "running", "done", "failed", "skipped"]
    attempts: int
    finished_at: datetime | None
    error: str | None


class CloseRead(Part):
    """What was done after one close of one exchange."""

    exchange: str
    trading_day: date
    opened_at: datetime
    steps: list[ChainStepRead]


class OperationsRead(Part):
    """The state of the installation, as its database knows it; health is at /readyz, latency at /monitor."""

    timestamp: datetime
    workers: int = Field(description="That gave a sign of life within 30 seconds.")
    sources: list[SourceRead]
    source_errors: list[SourceErrorRead] = Field(description="Most tickers first.")
    data: list[DataAgeRead]
    queues: list[QueueRead]
    jobs: list[JobCountRead]
    closes: list[CloseRead] = Field(description="The newest ten.")
    scored_at: datetime | None = Field(description="When scoring last went through a ticker; null: never.")
