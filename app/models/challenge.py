"""Every challenge of a champion, passed or not: what was tested must not be forgotten, or luck is tried for free."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Text,
    desc,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Challenge(Base):
    """One challenge that was decided; rows are never changed (triggers refuse it).

    Attributes
    ----------
    id : given out when it was asked for.
    test_number : which test of this champion within 365 days; null where nothing was tested, so nothing was spent.
    verdict : all figures and reasons, as ``GateVerdict.to_dict`` gives them.
    """

    __tablename__ = "challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"))
    champion_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"))
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    decided_by: Mapped[str] = mapped_column(Text)
    passed: Mapped[bool]
    test_number: Mapped[int | None]
    p_value: Mapped[float | None] = mapped_column(Double)
    verdict: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (
        CheckConstraint("NOT passed OR test_number IS NOT NULL", name="passed_was_tested"),
        CheckConstraint("(test_number IS NULL) = (p_value IS NULL)", name="tested_has_p_value"),
        Index("ix_challenges_champion_id_decided_at", "champion_id", "decided_at"),
        Index("ix_challenges_decided_at_id", desc("decided_at"), desc("id")),
    )


class ShadowDecision(Base):
    """One line of the ledger of shadows; the newest line of a bundle says whether it forecasts beside the champion."""

    __tablename__ = "shadow_decisions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"))
    shadowing: Mapped[bool]
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    decided_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_shadow_decisions_bundle_id_id", "bundle_id", "id"),)
