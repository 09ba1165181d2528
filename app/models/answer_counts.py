"""How many forecasts were answered and how fast, and how many were not: sums by ten minutes, and of all time."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, Double, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

ALL_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # the place of a sum of all slices


class AnswerCount(Base):
    """Answered requests of ten minutes, summed up by the worker from the prediction log; or of ``ALL_TIME``.

    Attributes
    ----------
    slice_at : beginning of the ten minutes.
    latency_buckets : number of answers by bucket of ``app.features.monitoring.latencies``.
    counted_until : of ``ALL_TIME``: up to which instant the log is counted; null for the others.
    """

    __tablename__ = "answer_counts"

    slice_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    answers: Mapped[int] = mapped_column(BigInteger)
    latency_sum_ms: Mapped[float] = mapped_column(Double)
    latency_min_ms: Mapped[float] = mapped_column(Double)
    latency_max_ms: Mapped[float] = mapped_column(Double)
    latency_buckets: Mapped[dict[str, int]] = mapped_column(JSONB)
    newest_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    counted_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class UnansweredCount(Base):
    """Forecasts of ten minutes, or of ``ALL_TIME``, that were asked for and not answered; each API process adds to it.

    What is counted at ``ALL_TIME`` is of slices that are deleted.
    """

    __tablename__ = "unanswered_counts"

    slice_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    outcome: Mapped[str] = mapped_column(Text, primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
