"""How far the intervals of one bundle have been moved by the errors of one ticker's live forecasts."""

from datetime import date, datetime

from sqlalchemy import ARRAY, Date, DateTime, Double, ForeignKey, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class AdaptiveStateRow(Base):
    """The α in use next for one bundle and ticker, and what they have learnt from.

    A forecast is unique by bundle, ticker and cutoff, and steps become known in the order of their cutoffs: a step has
    learnt from the scored live forecasts of this bundle and ticker up to its day in ``learnt_until``, each once.

    Attributes
    ----------
    alphas : shape ``(30, n_intervals)``, widest interval first.
    learnt_until : by step, cutoff of the newest forecast learnt from; null where there is none.
    learnt : by step, how many.
    """

    __tablename__ = "adaptive_states"

    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"), primary_key=True)
    ticker: Mapped[str] = mapped_column(Text, primary_key=True)
    alphas: Mapped[list[list[float]]] = mapped_column(ARRAY(Double, dimensions=2))
    learnt_until: Mapped[list[date | None]] = mapped_column(ARRAY(Date))
    learnt: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp(), onupdate=func.clock_timestamp()
    )
