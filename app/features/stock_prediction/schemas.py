"""What comes in about forecasts, and what goes out."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.features.track_record.schemas import StepScoreRead
from app.schemas.json_body import IsoDate
from app.schemas.problem import ProblemDocument

DISCLAIMER = (
    "A statistical forecast, no investment advice. Prices are in listing currency on the stated price basis; "
    "dividends and splits inside the horizon are not removed."
)
DEFAULT_DAYS_AHEAD = 5


DaysAhead = Annotated[int, Field(ge=1, le=30)]


def no_later_than_today(day: date) -> date:
    """``day``, unless its close cannot be known anywhere yet."""
    if day > datetime.now(UTC).date():
        raise ValueError("as_of must not be after today (UTC)")
    return day


class ForecastWish(BaseModel):
    """What of a forecast is wanted; ``horizon`` is another name of ``days_ahead``."""

    model_config = ConfigDict(extra="forbid")

    days_ahead: DaysAhead = Field(default=DEFAULT_DAYS_AHEAD, description="Trading days shown.")
    horizon: DaysAhead | None = Field(default=None, description="The same as days_ahead.")
    as_of: Annotated[IsoDate, AfterValidator(no_later_than_today)] | None = Field(
        default=None, description="Forecast as if made after this day's close; not after today (UTC)."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.horizon is not None and "days_ahead" in self.model_fields_set and self.days_ahead != self.horizon:
            raise ValueError("days_ahead and horizon are two names of one thing: give one of them, or the same twice")
        return self

    @property
    def steps(self) -> int:
        """Trading days shown, under whichever name they were asked for."""
        return self.days_ahead if self.horizon is None else self.horizon


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class ServedBundle(Part):
    """What made the forecast."""

    id: str
    kind: Literal["network", "reference"]
    promotion: str = Field(
        description="Why it is champion: reference, gate, forced, rollback or stand_in. Or why it answers without "
        "being champion: closes_network (of a window of closes alone) or asked_for (by an administrator)."
    )
    age: int = Field(description="Days since the bundle was made.")
    past_max_age: bool = Field(description="Older than a bundle should be.")


class NamedDataVersion(Part):
    """The state of the stored bars that the forecast was made from."""

    table_id: str
    version: int
    content_sha256: str


class NamedDataRead(Part):
    """What the forecast was made from."""

    source: str
    version: NamedDataVersion
    repaired_bars: int = Field(description="Bars of the window that the checks dropped or flagged.")


class DataRead(NamedDataRead):
    """The same, and how it stands at this moment."""

    as_of: date | None = Field(description="The day asked for; null: the newest bars.")
    stale: bool = Field(description="A newer bar exists, or (files, sample) none will come by itself.")


class StepRead(Part):
    """One coming close; quantiles are prices, by level."""

    step: int
    target_trading_day: date
    known_at: datetime = Field(description="When this close is final.")
    naive: float = Field(description="The naive forecast: the anchor.")
    median: float
    quantiles: dict[str, float]
    log_return: dict[str, float] = Field(description="The same quantiles as log returns from the cutoff's close.")
    probability_up: float


class SkillRead(Part):
    """How the bundle did at one horizon, beside the naive forecast."""

    label: Literal["better", "not_distinguishable_from_naive", "worse", "not_yet_measured"]
    source: Literal["live", "backtest", "none"]
    n: int
    relative_mae: float | None
    pinball_skill: float | None
    interval: tuple[float, float] | None


class ColumnDriftRead(Part):
    """A column past its limit."""

    column: str
    statistic: Literal["psi", "distance"] = Field(
        description="psi: population stability index of the window's values; distance: of the newest value from the "
        "training mean, in training standard deviations."
    )
    value: float
    limit: float


class DriftDetails(Part):
    """The forecast's inputs beside the bundle's training part."""

    left_training_distribution: list[ColumnDriftRead]


class FrozenForecastRead(Part):
    """What is frozen of a forecast: it was stored before it was answered and never changes."""

    forecast_id: UUID
    kind: Literal["live", "hindcast"]
    ticker: str
    exchange: str
    currency: str
    cutoff: date = Field(description="Last trading day that the forecaster saw.")
    anchor: float = Field(description="Close at the cutoff; every price is this times exp(log return).")
    price_basis: str
    made_at: datetime
    steps: list[StepRead]
    market_inputs: Literal["used", "fallback", "not_used"] = Field(
        description="used: the forecast read what the ticker's market did; fallback: the network reads it, but it is "
        "unknown on some or all of the days read, which then count as ordinary ones; not_used: the network does not."
    )
    disclaimer: str = DISCLAIMER
    model_version: str = Field(description="Id of the bundle.")


class StoredForecastRead(FrozenForecastRead):
    """A forecast that was answered to you, all 30 steps of it, and what came of those whose bar is final."""

    data: NamedDataRead
    scores: list[StepScoreRead]


class ForecastRead(FrozenForecastRead):
    """A frozen forecast with what there is to say about it at this moment."""

    bundle: ServedBundle
    data: DataRead
    skill: dict[str, SkillRead] = Field(
        description="By horizon, for the horizons shown that the bundle has a head for; steps between have no figures."
    )
    drift_warning: bool | None = Field(
        description="An input column left the training distribution; null: not measured, the bundle knows none."
    )
    drift_details: DriftDetails | None
    latency_ms: float
    predicted_price: float = Field(description="Median of step 1.")
    predictions: list[float] = Field(description="Medians of the steps shown.")
    generated_at: datetime = Field(description="Same as made_at.")


class OwnDataRead(Part):
    """Where the bars came from: from you, so nothing is known of them."""

    source: Literal["request"] = "request"
    version: None = None
    as_of: date | None
    stale: None = None
    repaired_bars: None = None


class OwnStepRead(Part):
    """One coming close of your own window; which day it is of is known of the first at most, and if you told it."""

    step: int
    target_trading_day: date | None
    known_at: None = None
    naive: float = Field(description="The naive forecast: the anchor.")
    median: float
    quantiles: dict[str, float]
    log_return: dict[str, float] = Field(description="The same quantiles as log returns from the last close.")
    probability_up: float


class OwnWindowRead(Part):
    """What was read of your window, and by whom."""

    rows: int = Field(description="As many came.")
    read: Literal["bars", "closes"] = Field(description="closes: nothing of the rows but these.")
    rows_read: int = Field(description="The newest ones; those before them change nothing.")
    answered_by: Literal["champion", "closes_network", "asked_for"]
    not_by_champion_because: str | None = Field(description="null: it was the champion, or nobody asked it.")


class OwnWindowForecastRead(Part):
    """A forecast of your own window: logged, never frozen, never scored. Prices are told from its last close."""

    forecast_id: None = None
    kind: None = None
    ticker: str | None = Field(description="As you told it, like exchange, currency and target_trading_day.")
    exchange: str | None
    currency: str | None
    cutoff: date | None = Field(description="The last row's day, or as_of; null: you told neither.")
    target_trading_day: date | None
    anchor: float = Field(description="The last close; every price is this times exp(log return).")
    price_basis: None = None
    made_at: datetime
    bundle: ServedBundle
    window: OwnWindowRead
    data: OwnDataRead
    steps: list[OwnStepRead]
    skill: dict[str, SkillRead] = Field(description="Of the bundle that answered, on tickers and days of its own test.")
    drift_warning: bool | None = Field(
        description="An input column left the training distribution; null: not measured, the bundle knows none."
    )
    drift_details: DriftDetails | None
    market_inputs: Literal["missing"] = "missing"
    latency_ms: float
    disclaimer: str = DISCLAIMER
    predicted_price: float = Field(description="Median of step 1.")
    predictions: list[float] = Field(description="Medians of the steps shown.")
    generated_at: datetime = Field(description="Same as made_at.")
    model_version: str = Field(description="Id of the bundle.")


class BatchAnswer(Part):
    """What became of one ticker: a forecast or a problem."""

    ticker: str = Field(description="As you wrote it.")
    forecast: ForecastRead | None
    problem: ProblemDocument | None = Field(description="With `retry_after_seconds` where repeating helps.")


class BatchRead(Part):
    """The answers in the order of your tickers."""

    answers: list[BatchAnswer]
    latency_ms: float


class SampleRow(Part):
    """One stored bar; a column that is unusable on one of the days is left out of all rows."""

    trading_day: date
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float
    adj_close: float
    volume: float | None = None


class SampleData(Part):
    """A body that `POST /predict` takes: as many stored bars as can change the champion's forecast."""

    ticker: str
    exchange: str
    currency: str
    as_of: date
    target_trading_day: date
    sequence: list[SampleRow]


class Inferred(Part):
    """What `/infer` says beside it, for clients of another system."""

    prediction: float = Field(description="Same as predicted_price.")
    timestamp: datetime = Field(description="Same as generated_at.")


class InferredForecastRead(ForecastRead, Inferred):
    """A ticker's forecast, asked at `/infer`."""


class InferredWindowRead(OwnWindowForecastRead, Inferred):
    """A forecast of your own window, asked at `/infer`."""


class PredictionRead(Part):
    """One request that was answered to you."""

    prediction_id: UUID
    answered_at: datetime
    route: str
    request_id: str | None
    latency_ms: float
    days_ahead: int | None
    forecast_id: UUID | None = Field(description="null: your own window was answered, and not frozen.")
    ticker: str | None
    cutoff: date | None
    kind: Literal["live", "hindcast"] | None
    bundle_id: str | None
