"""Figures of scored forecasts, computed by each scoring run for whoever asks."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

ALL_DAYS = 0  # the window that begins with the first forecast


class LiveSkill(Base):
    """Figures of one kind of forecasts (``live`` or ``hindcast``) of one bundle at one horizon over one window.

    ``days`` is the window in calendar days before ``computed_at``, by the day of the outcome; 0: all of them.
    ``figures`` is a ``ml_lifecycle.monitoring.live_figures.LiveFigures``.
    """

    __tablename__ = "live_skill"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"), primary_key=True)
    horizon: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    days: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    computed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
