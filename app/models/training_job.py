"""Jobs that a user or the schedule asked for, what happened in each, and the configuration that they begin with."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text, desc, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

PRESENT = func.clock_timestamp()


class JobKind(StrEnum):
    """What a job does; the runner of each is in ``app.features.training.kinds``."""

    TRAIN = "train"
    UPDATE = "update"
    TUNE = "tune"
    DRIFT = "drift"


class JobStatus(StrEnum):
    """How a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrainingJob(Base):
    """One job.

    Attributes
    ----------
    owner_id : the user who asked; null: the schedule, or somebody who is gone.
    reason : who or what asked, in words.
    spec : what the runner of its kind is told.
    progress : what the runner told last; result : what it gave.
    lease_until : until then the worker that runs it is taken to be alive; it moves this on with each heartbeat.
    attempt : how many workers have begun it; each one's own number is its right to write here.
    last_event : number of its newest event.
    """

    __tablename__ = "training_jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text, server_default=JobStatus.QUEUED.value)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    failure: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=PRESENT)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempt: Mapped[int] = mapped_column(server_default="0")
    last_event: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        CheckConstraint("kind IN ('train', 'update', 'tune', 'drift')", name="kind"),
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint("(status = 'failed') = (failure IS NOT NULL)", name="failed_has_reason"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="running_has_lease"),
        CheckConstraint("(status IN ('queued', 'running')) = (finished_at IS NULL)", name="ended_has_instant"),
        # Whoever asks twice at once is told so by the database, not by a look that may be too early.
        Index(
            "uq_training_jobs_one_at_a_time",
            "owner_id",
            unique=True,
            postgresql_where=text("status IN ('queued', 'running') AND kind IN ('train', 'update', 'tune')"),
        ),
        Index(
            "uq_training_jobs_one_drift_at_a_time",
            "owner_id",
            unique=True,
            postgresql_where=text("status IN ('queued', 'running') AND kind = 'drift'"),
        ),
        Index("ix_training_jobs_created_at_id", desc("created_at"), desc("id")),
        Index("ix_training_jobs_owner_id_created_at_id", "owner_id", desc("created_at"), desc("id")),
    )


class TrainingJobEvent(Base):
    """One thing that happened in a job; ``seq`` counts from 1 without a gap.

    Attributes
    ----------
    kind : ``progress``, ``log`` or ``status``.
    """

    __tablename__ = "training_job_events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("training_jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=PRESENT)
    kind: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (CheckConstraint("kind IN ('progress', 'log', 'status')", name="kind"),)


class TrainingDefaults(Base):
    """One version of the configuration that a training begins with where nothing else is said; the newest counts.

    Attributes
    ----------
    content : a document of four parts (``ml_lifecycle.training.config_document``).
    """

    __tablename__ = "training_defaults"

    version: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=PRESENT)
    changed_by: Mapped[str] = mapped_column(Text)
