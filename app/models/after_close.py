"""What is done after each close: a run per exchange and day, its steps, and whether a training was asked for."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    desc,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class StepState(StrEnum):
    """How a step stands; ``failed`` with a ``due_at`` is tried again then."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class ChainRun(Base):
    """The chain after one close of one exchange."""

    __tablename__ = "chain_runs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    exchange: Mapped[str] = mapped_column(Text)
    trading_day: Mapped[date]
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (UniqueConstraint("exchange", "trading_day"),)


class ChainStep(Base):
    """One step of a run.

    Attributes
    ----------
    attempts : times that it was begun.
    due_at : when a failed one is begun again; null: it is not.
    error : of the newest attempt; outcome : what it did, in figures.
    """

    __tablename__ = "chain_steps"

    run_id: Mapped[int] = mapped_column(ForeignKey("chain_runs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text, server_default=StepState.WAITING.value)
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        CheckConstraint("step IN ('collect', 'score', 'precompute', 'drift', 'retrain', 'gate')", name="step"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'skipped')", name="state"),
        CheckConstraint("state <> 'failed' OR error IS NOT NULL", name="failed_has_reason"),
        CheckConstraint("due_at IS NULL OR state = 'failed'", name="only_failed_is_due"),
        Index(
            "ix_chain_steps_open",
            "run_id",
            postgresql_where=text("state IN ('waiting', 'running') OR due_at IS NOT NULL"),
        ),
    )


class RetrainDecision(Base):
    """Whether a training was asked for after one close, or by `closecast pipeline`, and why, or why not.

    Attributes
    ----------
    run_id : null: a person ran the chain, which trains in its own process and without a job.
    trains : whether one was asked for.
    rules : those that spoke for it: ``schedule``, ``drift``, ``error``, ``coverage``.
    job_id : of the training that a worker was given; null: none was.
    challenge_id : of the gate's judging of what it brought.
    """

    __tablename__ = "retrain_decisions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("chain_runs.id", ondelete="CASCADE"), unique=True)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    trains: Mapped[bool]
    rules: Mapped[list[str]] = mapped_column(ARRAY(Text))
    reason: Mapped[str] = mapped_column(Text)
    report_id: Mapped[UUID | None] = mapped_column(ForeignKey("drift_reports.id"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("training_jobs.id"))
    challenge_id: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("job_id IS NULL OR (trains AND run_id IS NOT NULL)", name="job_trains_after_a_close"),
        Index("ix_retrain_decisions_decided_at", desc("decided_at")),
    )
