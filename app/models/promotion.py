"""Registered bundles and the append-only ledger of which one was champion from when, and why."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class BundleRow(Base):
    """A bundle that was checked and may be promoted; ``id`` is also the name of its folder.

    Attributes
    ----------
    files_deleted_at : when the clean-up deleted the folder; the row stays, since forecasts and ledgers may name it.
    """

    __tablename__ = "bundles"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    registered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    train_end: Mapped[date | None]
    calibration_end: Mapped[date | None]
    files_deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    manifest: Mapped[dict[str, Any]] = mapped_column(JSONB, deferred=True)


class Promotion(Base):
    """One line of the ledger; the newest line names the champion."""

    __tablename__ = "promotions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"))
    previous_bundle_id: Mapped[str | None] = mapped_column(ForeignKey("bundles.id"))
    kind: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    decided_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        CheckConstraint("kind IN ('reference', 'forced', 'gate', 'rollback')", name="kind"),
        CheckConstraint("kind <> 'forced' OR reason IS NOT NULL", name="forced_has_reason"),
    )
