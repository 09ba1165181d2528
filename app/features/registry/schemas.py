"""What goes out about bundles and promotions."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.schemas.json_body import JsonBody

IN_CURRENCY = "In listing currency, all tickers mixed: dear shares and small currencies weigh most."
IN_LOG_RETURNS = "In log returns: every ticker weighs the same."


class Part(BaseModel):
    """A part of an answer, read from a row or given."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class BundleRead(Part):
    """A registered bundle."""

    id: str
    kind: Literal["network", "reference"]
    created_at: datetime
    registered_at: datetime
    train_end: date | None
    calibration_end: date | None
    files_deleted_at: datetime | None = Field(description="When a clean-up deleted its files; null: they are there.")


class BundleDetails(BundleRead):
    """A registered bundle with what it says of itself."""

    history_needed: int = Field(description="Bars that one forecast needs, warm-up included.")
    history_used: int = Field(description="Newest bars that can change a forecast.")
    horizons: list[int] = Field(description="Steps that the network has a head for; others are interpolated.")
    quantile_levels: list[float]
    input_columns: list[str]
    context_columns: list[str]
    input_kind: Literal["ohlcv", "closes"]
    data_version: dict[str, Any] | None
    weights_sha256: str | None
    seed: int | None
    git_commit: str | None
    library_versions: dict[str, str]
    config: dict[str, Any]
    scores: list[dict[str, Any]] = Field(description="Per horizon, each figure beside the naive forecast's.")


class SkillFigures(Part):
    """How the bundle did at one horizon on days that it had not seen, beside the naive forecast on the same days."""

    horizon: int
    n: int | None = Field(description="Forecasts, over all tickers.")
    n_days: int | None
    pinball: float | None = Field(description=IN_LOG_RETURNS)
    naive_pinball: float | None = Field(description=IN_LOG_RETURNS)
    relative_mae: float | None = Field(description="Mean absolute error of the median over the naive's.")
    pinball_skill: float | None = Field(description="Gain in pinball loss over the naive's quantiles, as a fraction.")
    skill_interval: tuple[float, float] | None
    label: str
    coverage: dict[str, float] = Field(description="Share of outcomes inside each central interval, by its promise.")
    naive_coverage: dict[str, float]


class ListedBundle(BundleRead):
    """A registered bundle with its figures beside the naive forecast's."""

    figures: list[SkillFigures] = Field(description="By horizon, over all tickers; empty: not measured.")


class CalibrationRead(Part):
    """How the intervals were made to hold what they promise."""

    method: Literal["none", "split_conformal"]
    calibrated_until: date | None
    horizons: list[int]
    levels: list[float]
    offsets: list[list[float]] = Field(description="By horizon and level, in units of the volatility at the cutoff.")


class DecisionRead(Part):
    """The line of the ledger that made it champion."""

    kind: str
    decided_at: datetime
    decided_by: str | None
    reason: str | None = Field(description="Why it was forced or rolled back to.")
    gate: dict[str, Any] | None = Field(description="The gate's figures, where it was promoted by them.")


class ServedParams(Part):
    """The served network's size, under the names that other systems use."""

    seq_length: int = Field(description="Bars in one window; for the reference, bars that it needs.")
    hidden_size: int | None = Field(description="Units of the first LSTM layer; null: the reference has none.")


class ServedMetrics(Part):
    """The served bundle's errors one trading day ahead, over all tickers; null: not measured."""

    mae: float | None = Field(description=IN_CURRENCY)
    rmse: float | None = Field(description=IN_CURRENCY)
    mape: float | None
    mae_log_return: float | None = Field(description=IN_LOG_RETURNS)
    rmse_log_return: float | None = Field(description=IN_LOG_RETURNS)
    naive_mae: float | None = Field(description=IN_CURRENCY)
    naive_rmse: float | None = Field(description=IN_CURRENCY)
    naive_mape: float | None
    naive_mae_log_return: float | None = Field(description=IN_LOG_RETURNS)
    naive_rmse_log_return: float | None = Field(description=IN_LOG_RETURNS)


class ModelInfo(Part):
    """What answers at this moment."""

    version: str = Field(description="Id of the bundle.")
    kind: Literal["network", "reference"]
    promotion: str = Field(description="Why it is champion: reference, gate, forced, rollback or stand_in.")
    promoted_at: datetime
    created_at: datetime
    age: int = Field(description="Days since the bundle was made.")
    past_max_age: bool
    history_needed: int = Field(description="Bars that one forecast needs, warm-up included.")
    history_used: int = Field(description="Newest bars that can change a forecast.")
    horizons: list[int]
    quantile_levels: list[float]
    train_start: date | None = Field(description="Day of the oldest bar that it was trained on.")
    train_end: date | None
    calibration_end: date | None
    tickers: list[str] = Field(description="It was trained on these; it answers for others too.")
    data_version: dict[str, Any] | None = Field(description="State of the stored bars that it was trained on.")
    figures: list[SkillFigures] = Field(description="By horizon, over all tickers; empty: not measured.")
    calibration: CalibrationRead
    decision: DecisionRead
    current_params: ServedParams
    metrics: ServedMetrics


class RefusedBundle(Part):
    """A bundle that the ledger names and that stays out."""

    bundle_id: str
    reason: str


class ReloadedModel(ModelInfo):
    """What answers once ledger and files were read again."""

    refused: list[RefusedBundle] = Field(description="Bundles that were to answer and stay out, with the reason.")


class PromotionRead(Part):
    """One line of the ledger."""

    id: int
    bundle_id: str
    previous_bundle_id: str | None
    kind: Literal["reference", "forced", "gate", "rollback"]
    decided_at: datetime
    decided_by: str
    reason: str | None
    figures: dict[str, Any] | None = Field(description="The gate's, where it was promoted by them.")


class DecidedChallenge(Part):
    """What the gate decided about one challenger."""

    id: UUID
    bundle_id: str
    champion_id: str
    decided_at: datetime
    decided_by: str
    passed: bool
    test_number: int | None = Field(description="Which test of this champion within a year; null: nothing was tested.")
    p_value: float | None
    verdict: dict[str, Any] = Field(description="All figures, and the reasons.")


ChallengeStatus = Literal["waiting", "judging", "passed", "refused", "broken_off"]


class ChallengeRead(Part):
    """How a challenge stands; passed: the bundle is champion."""

    id: UUID
    bundle_id: str
    status: ChallengeStatus
    decision: DecidedChallenge | None


class RollBackRead(Part):
    """What a roll-back would do now."""

    bundle_id: str = Field(description="It would be champion again.")
    previous_bundle_id: str = Field(description="The present champion.")


class RollBackWish(JsonBody):
    """Why the champion is taken back, if that is to be kept; without a body no reason is."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "wide intervals since Monday"}})

    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] | None = None
