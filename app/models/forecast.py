"""Frozen forecasts: inserted once, never changed (triggers of the first migration refuse it)."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, CheckConstraint, Date, DateTime, Double, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Forecast(Base):
    """What one bundle said about one ticker after one cutoff; arrays are by step, 1 to 30.

    Attributes
    ----------
    kind : ``live`` when made before the first target day opened on bars of a live source, else ``hindcast``.
    anchor : the stored ``close`` at the cutoff; prices are ``anchor * exp(log return)``.
    adaptive_alpha : miscoverage in use, shape ``(30, n_intervals)``, widest interval first; null where none adapts.
    log_returns : shape ``(30, n_levels)``, from the cutoff's adjusted close.
    naive_log_returns : the same of the naive forecast; null where the bars were too few for its spread. Its median is
        0 always: tomorrow closes where today did.
    drift : input columns that left the training distribution, each a ``ColumnDrift``; null where it was not measured.
    """

    __tablename__ = "forecasts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[str] = mapped_column(Text)
    ticker: Mapped[str] = mapped_column(Text)
    exchange: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    price_basis: Mapped[str] = mapped_column(Text)
    cutoff: Mapped[date]
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"))
    data_table_id: Mapped[str] = mapped_column(Text)
    data_version: Mapped[int]
    data_sha256: Mapped[str] = mapped_column(Text)
    repaired_bars: Mapped[int]
    market_inputs: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    opens_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    anchor: Mapped[float] = mapped_column(Double)
    adaptive_alpha: Mapped[list[list[float]] | None] = mapped_column(ARRAY(Double, dimensions=2))
    levels: Mapped[list[float]] = mapped_column(ARRAY(Double))
    target_trading_days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    known_at: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))
    log_returns: Mapped[list[list[float]]] = mapped_column(ARRAY(Double, dimensions=2))
    naive_log_returns: Mapped[list[list[float]] | None] = mapped_column(ARRAY(Double, dimensions=2))
    probability_up: Mapped[list[float]] = mapped_column(ARRAY(Double))
    drift: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        UniqueConstraint("bundle_id", "ticker", "cutoff"),
        Index("ix_forecasts_ticker_cutoff", "ticker", "cutoff"),
        Index("ix_forecasts_made_at", "made_at"),  # a day's link of the hash chain
        Index("ix_forecasts_kind_bundle_id_cutoff", "kind", "bundle_id", "cutoff"),  # how many there are
        CheckConstraint("kind IN ('live', 'hindcast')", name="kind"),
        CheckConstraint("kind <> 'live' OR made_at < opens_at", name="live_precedes_open"),
        CheckConstraint("anchor > 0", name="anchor"),
    )
