"""Scores of frozen forecasts: written once, never changed (triggers refuse it), and their sums by day."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Double, ForeignKey, Index, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Score(Base):
    """What came of one step of one frozen forecast.

    Attributes
    ----------
    status : ``scored``, or ``void`` where no bar came in time; a void step has no figures.
    trading_day : of the bar that came; of a void step the day on which it was expected.
    data_table_id, data_version : the data version that both adjusted closes of ``log_return`` are from.
    log_return : realised, from the cutoff's adjusted close to the step's.
    absolute_error, naive_absolute_error : of the median and of "no change", as log returns.
    pinball, naive_pinball : mean over the levels; the naive's is null where its spread was not known.
    direction_hit : whether the median's sign was the return's; null where either is 0.
    inside_50 … : whether the return lay inside the central interval; null where the forecast has no such levels.
    """

    __tablename__ = "scores"

    forecast_id: Mapped[UUID] = mapped_column(ForeignKey("forecasts.id"), primary_key=True)
    step: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    trading_day: Mapped[date]
    data_table_id: Mapped[str] = mapped_column(Text)
    data_version: Mapped[int]
    log_return: Mapped[float | None] = mapped_column(Double)
    absolute_error: Mapped[float | None] = mapped_column(Double)
    naive_absolute_error: Mapped[float | None] = mapped_column(Double)
    pinball: Mapped[float | None] = mapped_column(Double)
    naive_pinball: Mapped[float | None] = mapped_column(Double)
    direction_hit: Mapped[bool | None]
    inside_50: Mapped[bool | None]
    inside_80: Mapped[bool | None]
    inside_90: Mapped[bool | None]
    inside_95: Mapped[bool | None]
    naive_inside_50: Mapped[bool | None]
    naive_inside_80: Mapped[bool | None]
    naive_inside_90: Mapped[bool | None]
    naive_inside_95: Mapped[bool | None]
    scored_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        CheckConstraint("status IN ('scored', 'void')", name="status"),
        CheckConstraint("(status = 'void') = (log_return IS NULL)", name="void_has_no_figures"),
    )


class OpenForecast(Base):
    """A frozen forecast whose last step has no score yet: put here and taken out by triggers (migration 0011).

    Without foreign key: forecasts are never deleted, and each freezing would pay for the check.
    """

    __tablename__ = "open_forecasts"

    forecast_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticker: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_open_forecasts_ticker_kind", "ticker", "kind"),)


class _Sums:
    """Counts and sums of scores, grown with each score in its transaction.

    ``compared`` counts those whose naive spread was known; ``compared_pinball`` and ``naive_pinball`` are of these.
    ``directions`` counts those of which neither the return nor the median is 0.
    """

    n: Mapped[int]
    voids: Mapped[int]
    absolute_error: Mapped[float] = mapped_column(Double)
    naive_absolute_error: Mapped[float] = mapped_column(Double)
    compared: Mapped[int]
    compared_pinball: Mapped[float] = mapped_column(Double)
    naive_pinball: Mapped[float] = mapped_column(Double)
    directions: Mapped[int]
    direction_hits: Mapped[int]
    inside_50: Mapped[int]
    inside_80: Mapped[int]
    inside_90: Mapped[int]
    inside_95: Mapped[int]


class ScoreDay(_Sums, Base):
    """Sums of the scores of one kind, bundle and step on one day of outcomes; by the statement that inserts them."""

    __tablename__ = "score_days"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id"), primary_key=True)
    step: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    trading_day: Mapped[date] = mapped_column(primary_key=True)
    pinball: Mapped[float] = mapped_column(Double)


class TickerScoreDay(_Sums, Base):
    """The same of one ticker, at the horizons that have figures; by a trigger (migration 0011).

    In the order of its key a ticker's days at one step lie together, whatever bundle they are of.
    """

    __tablename__ = "ticker_score_days"

    ticker: Mapped[str] = mapped_column(Text, primary_key=True)
    step: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    trading_day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    bundle_id: Mapped[str] = mapped_column(Text, primary_key=True)


class TickerScoreSum(_Sums, Base):
    """Sums over all days and bundles of one ticker, at the horizons that have figures; by the same trigger."""

    __tablename__ = "ticker_score_sums"

    ticker: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    step: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    newest_outcome: Mapped[date | None]


class ScoredSeries(Base):
    """The newest data version of a ticker that a scoring run has gone through, and when."""

    __tablename__ = "scored_series"

    ticker: Mapped[str] = mapped_column(Text, primary_key=True)
    data_table_id: Mapped[str] = mapped_column(Text)
    data_version: Mapped[int]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
