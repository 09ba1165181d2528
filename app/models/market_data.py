"""Lineage and quality of the stored bars, and what came of asking for tickers that were not stored."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Double, ForeignKey, ForeignKeyConstraint, Integer, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class DataVersionRow(Base):
    """One state of the store of bars from which windows were published."""

    __tablename__ = "data_versions"

    table_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content_sha256: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class QualityReportRow(Base):
    """What the checks dropped or flagged in one ticker's bars on the way to one data version."""

    __tablename__ = "quality_reports"

    ticker: Mapped[str] = mapped_column(Text, primary_key=True)
    table_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (
        ForeignKeyConstraint(
            ["table_id", "version"], ["data_versions.table_id", "data_versions.version"], ondelete="CASCADE"
        ),
    )


class WindowFailure(Base):
    """Why the last attempt brought no window of one ticker (and ``as_of``); believed until ``expires_at``."""

    __tablename__ = "window_failures"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    ticker: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date | None]
    cause: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    bars_needed: Mapped[int | None]
    bars_found: Mapped[int | None]
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (UniqueConstraint("ticker", "as_of", postgresql_nulls_not_distinct=True),)


class NewTickerRequest(Base):
    """What one user caused to be collected (`AAPL`) or built (`AAPL@2013-03-01`) on one day (UTC), for the quota."""

    __tablename__ = "new_ticker_requests"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    ticker: Mapped[str] = mapped_column(Text, primary_key=True)


class SourceBudget(Base):
    """Token bucket of one price source, shared by every process that asks it; below zero, tokens are owed."""

    __tablename__ = "source_budgets"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    filled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SourceCircuit(Base):
    """Circuit breaker of one price source, shared likewise; ``opened_at`` in seconds since 1970."""

    __tablename__ = "source_circuits"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text, server_default="closed")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    opened_at: Mapped[float | None] = mapped_column(Double)
