"""What was found when inputs, errors and coverage were held against what they were."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Index, Text, desc, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class DriftReport(Base):
    """One comparison.

    Attributes
    ----------
    id : of the job that made it, where a job did: a job that is run again after a crash stores nothing twice.
    bundle_id : whose inputs were compared, and whose live errors; also the reference where no version is one.
    reference_version : data version that is the reference; null: the bundle's own training distribution.
    production_version : data version that was held against it.
    columns, error, coverage : ``ColumnFinding``, ``ErrorDrift``, ``CoverageDrift``; error is null where nothing live
        is scored.
    causes : what speaks for training anew.
    """

    __tablename__ = "drift_reports"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    asked_by: Mapped[str] = mapped_column(Text)
    bundle_id: Mapped[str | None] = mapped_column(Text)
    reference_version: Mapped[int | None]
    production_version: Mapped[int]
    days: Mapped[int]
    tickers: Mapped[list[str]] = mapped_column(JSONB)
    columns: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    coverage: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    recommendation: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    causes: Mapped[list[str]] = mapped_column(JSONB)

    __table_args__ = (
        CheckConstraint("recommendation IN ('ok', 'watch', 'retrain')", name="recommendation"),
        Index("ix_drift_reports_made_at_id", desc("made_at"), desc("id")),
    )
