"""What the worker publishes for the API: per ticker the newest bars, the calendar ahead, the lineage."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Date, DateTime, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.array_types import DayBytes, Float64Bytes
from app.models.base import Base
from data_pipeline.processing.bar_arrays import DayArray, FloatArray


class ServingWindowRow(Base):
    """A ``data_pipeline.serving_window.ServingWindow``, one per ticker and ``as_of`` (null: the newest).

    The arrays are deferred: an answer that is frozen already needs none of them.
    """

    __tablename__ = "serving_windows"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    ticker: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date | None]
    cutoff: Mapped[date]
    exchange: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    live: Mapped[bool]
    price_basis: Mapped[str] = mapped_column(Text)
    target_trading_days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    opens_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    known_at: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))
    data_table_id: Mapped[str] = mapped_column(Text)
    data_version: Mapped[int]
    data_sha256: Mapped[str] = mapped_column(Text)
    repaired_bars: Mapped[int]
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())

    n_bars: Mapped[int]
    trading_day: Mapped[DayArray] = mapped_column(DayBytes, deferred=True, deferred_group="bars")
    open: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    high: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    low: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    close: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    adj_close: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    volume: Mapped[FloatArray] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    market_universe: Mapped[str | None] = mapped_column(Text, deferred=True, deferred_group="bars")
    market_mean_return: Mapped[FloatArray | None] = mapped_column(Float64Bytes, deferred=True, deferred_group="bars")
    market_mean_absolute_return: Mapped[FloatArray | None] = mapped_column(
        Float64Bytes, deferred=True, deferred_group="bars"
    )

    __table_args__ = (
        UniqueConstraint("ticker", "as_of", postgresql_nulls_not_distinct=True),
        Index("ix_serving_windows_newest_exchange", "exchange", "ticker", postgresql_where=text("as_of IS NULL")),
    )
