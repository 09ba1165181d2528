"""One row per answered request, partitioned by month."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Double, ForeignKey, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class PredictionLogRow(Base):
    """Who was answered what; ``forecast_id`` is null for a client's own window, which has digest and quantiles."""

    __tablename__ = "prediction_log"

    answered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    api_key_id: Mapped[UUID | None]
    route: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    forecast_id: Mapped[UUID | None] = mapped_column(ForeignKey("forecasts.id"))
    days_ahead: Mapped[int | None] = mapped_column(SmallInteger)
    latency_ms: Mapped[float] = mapped_column(Double)
    body_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    quantiles: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        Index("ix_prediction_log_user_id_answered_at_id", "user_id", "answered_at", "id"),
        Index("ix_prediction_log_forecast_id", "forecast_id"),
        {"postgresql_partition_by": "RANGE (answered_at)"},
    )
