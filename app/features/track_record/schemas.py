"""What came of forecasts, as it goes out."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.page import Page
from ml_lifecycle.monitoring.coverage_test import CoverageTest

Kind = Literal["live", "hindcast"]
Window = Literal["30", "90", "365", "all"]
SHARED = (
    "forecasts",
    "scored",
    "voids",
    "relative_mae",
    "relative_mae_interval",
    "directional_accuracy",
    "directions",
)
LabelRead = Literal["better", "not_distinguishable_from_naive", "worse", "not_yet_measured"]


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class OutcomeVersion(Part):
    """The data version that both adjusted closes of a realised return are from."""

    table_id: str
    version: int


class StepScoreRead(Part):
    """What came of one step; a void step, whose bar did not come in time, has no figures."""

    step: int
    status: Literal["scored", "void"]
    trading_day: date = Field(description="Of the bar that came; of a void step the day on which it was expected.")
    data_version: OutcomeVersion
    log_return: float | None = Field(description="Realised, from the cutoff's adjusted close.")
    absolute_error: float | None = Field(description="Of the median, as a log return; naive_absolute_error: of 0.")
    naive_absolute_error: float | None
    pinball: float | None = Field(description="Mean pinball loss over the levels.")
    naive_pinball: float | None
    direction_hit: bool | None = Field(description="null: the return or the median is 0.")
    inside: dict[str, bool | None] = Field(description="By central interval: 50, 80, 90, 95 %.")
    naive_inside: dict[str, bool | None]
    scored_at: datetime


class CoverageRead(Part):
    """How often an interval held."""

    level: float = Field(description="Promised.")
    coverage: float
    n_effective: int = Field(description="Independent forecasts that would know the share as well.")
    p: float | None = Field(description="Binomial test, two-sided; null: too few days.")
    rejected: bool | None = Field(description="Whether the promise is broken: p below 0.01; null: too few days.")


class FiguresRead(Part):
    """What one bundle's forecasts of one kind were worth at one horizon, over one window."""

    kind: Kind
    bundle_id: str
    horizon: int
    window: Window = Field(description="Calendar days before the figures were worked out, by the day of the outcome.")
    forecasts: int = Field(description="Resolved ones: scored and void.")
    scored: int
    voids: int
    relative_mae: float | None = Field(description="Mean absolute error over the naive's: below 1 is better.")
    relative_mae_interval: tuple[float, float] | None = Field(description="95 %; null: too few days.")
    label: LabelRead
    n: int = Field(description="Forecasts compared with the naive's quantiles.")
    n_days: int
    pinball_skill: float | None = Field(description="Gain in mean pinball loss over the naive's, as a share of theirs.")
    pinball_skill_interval: tuple[float, float] | None = Field(description="98 %; the label is read off it.")
    coverage: list[CoverageRead]
    directional_accuracy: float | None
    directions: int = Field(description="Returns that count for it: neither they nor the median are 0.")


class ChainHeadRead(Part):
    """The newest link of the hash chain over frozen forecasts: note it, and `closecast verify-log --head` checks it."""

    day: date
    head: str


class TickerRecordRead(Part):
    """Live forecasts of one ticker at one horizon, of every bundle; good and bad tickers alike, by alphabet."""

    ticker: str
    forecasts: int
    scored: int
    relative_mae: float | None
    pinball_skill: float | None
    coverage: dict[str, float] = Field(description="By promised share, in percent; empty before the first score.")
    directional_accuracy: float | None
    newest_outcome: date | None


class TrackRecordRead(Part):
    """Figures of frozen forecasts, none chosen after the fact."""

    served_bundle_id: str | None
    computed_at: datetime | None = Field(description="When the figures were last worked out; null: there are none yet.")
    live: list[FiguresRead] = Field(description="Made before their first target day opened: nobody knew the outcome.")
    hindcasts: list[FiguresRead] = Field(description="Asked as of the past, or made from files: they prove less.")
    chain: ChainHeadRead | None
    horizon: int = Field(description="Of the tickers below.")
    tickers: Page[TickerRecordRead]


class TickerTrackRecordRead(Part):
    """Figures of one ticker's forecasts."""

    ticker: str
    live: list[FiguresRead]
    hindcasts: list[FiguresRead]
    chain: ChainHeadRead | None


def figures_read(kind: Kind, bundle_id: str, horizon: int, window: Window, figures: dict[str, Any]) -> FiguresRead:
    """A ``LiveFigures`` as plain values, with what it is of."""
    skill = figures["skill"]
    return FiguresRead(
        kind=kind,
        bundle_id=bundle_id,
        horizon=horizon,
        window=window,
        label=skill["label"],
        n=skill["n"],
        n_days=skill["n_days"],
        pinball_skill=skill["pinball_skill"],
        pinball_skill_interval=skill["interval"],
        coverage=[CoverageRead(**test, rejected=CoverageTest(**test).rejected) for test in figures["coverage"]],
        **{name: figures[name] for name in SHARED},
    )


class MadeFrom(Part):
    """The data version that inputs were computed anew from."""

    table_id: str
    version: int
    same_as_forecast: bool = Field(description="false: a later one, in which bars may have been revised since.")


class ExplainedInputs(Part):
    """The window as the network saw it; of the reference, which has none, the newest daily log returns."""

    made_from: MadeFrom
    days: list[date]
    columns: dict[str, list[float | None]] = Field(description="Before scaling, oldest first; null: not known.")
    scaled: dict[str, list[float | None]] = Field(description="As they went into the network.")
    context: dict[str, float | None] = Field(description="Columns that are read at the cutoff only.")
    scaled_context: dict[str, float | None]
    scale: float | None = Field(description="Daily volatility that the network answers in units of.")


class NearestWindowRead(Part):
    """A window of the ticker's own past that is like the forecast's, and what came after it."""

    cutoff: date
    distance: float = Field(description="Root mean square difference of the scaled inputs.")
    log_returns: dict[str, float] = Field(description="By horizon; all were known at the forecast's cutoff.")


class PromotionBehind(Part):
    """The decision by which the bundle answered."""

    kind: str
    decided_at: datetime
    reason: str | None


class LineageRead(Part):
    """Where a forecast comes from."""

    bundle_id: str
    bundle_kind: str
    bundle_made_at: datetime
    train_end: date | None
    calibration_end: date | None
    promotion: PromotionBehind | None = Field(description="null: it was no champion then, a shadow say.")
    source: str
    data_table_id: str
    data_version: int
    data_sha256: str
    repaired_bars: int
    market_inputs: str
    adaptive_alpha: list[list[float]] | None = Field(
        description="Miscoverage in use by step and interval, widest first; null: intervals as calibrated at training."
    )


class ExplanationRead(Part):
    """What is known about a forecast's making."""

    forecast_id: UUID
    ticker: str
    kind: Kind
    cutoff: date
    made_at: datetime
    lineage: LineageRead
    drift_warning: bool | None
    drift: list[dict[str, Any]] | None = Field(description="Columns that had left the training distribution.")
    inputs: ExplainedInputs | None
    nearest: list[NearestWindowRead] = Field(description="The 20 nearest, nearest first.")
    missing_because: str | None = Field(description="Why there are no inputs; null: there are.")
