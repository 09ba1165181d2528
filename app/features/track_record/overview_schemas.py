"""The track record as a whole, for tables and plots, as it goes out."""

from datetime import date
from typing import Literal

from pydantic import Field

from app.features.track_record.schemas import Kind, Part, Window

Sort = Literal["ticker", "scored", "relative_mae", "pinball_skill", "directional_accuracy", "newest_outcome"]
Period = Literal["week", "month"]


class ReliabilityRead(Part):
    """How often the outcome was at or below a quantile, beside how often it should have been."""

    kind: Kind
    level: float = Field(description="Promised: the share of outcomes that should be at or below the quantile.")
    observed: float
    n: int = Field(description="Outcomes.")
    naive_observed: float | None = Field(
        description="The naive's quantile of this level; null: its spread was unknown."
    )
    naive_n: int


class CalibrationCurveRead(Part):
    """Reliability of every quantile at one horizon, over one window."""

    horizon: int
    window: Window
    most: int = Field(description="At most so many outcomes count, those of the newest forecasts.")
    levels: list[ReliabilityRead] = Field(description="By kind, levels ascending.")


class PeriodErrorsRead(Part):
    """Errors of one week or month of outcomes, in log returns, beside the naive's."""

    kind: Kind
    start: date = Field(description="First day of the period: a Monday, or the first of a month.")
    scored: int
    mae: float | None = Field(description="Mean absolute error of the median; null: nothing was scored.")
    naive_mae: float | None
    relative_mae: float | None = Field(description="One over the other: below 1 is better than the naive.")
    pinball_skill: float | None = Field(description="Gain in mean pinball loss over the naive's, as a share of theirs.")


class ErrorsOverTimeRead(Part):
    """Errors at one horizon against the naive's, by the day of the outcome."""

    horizon: int
    window: Window
    by: Period
    periods: list[PeriodErrorsRead] = Field(description="By kind, oldest first.")
