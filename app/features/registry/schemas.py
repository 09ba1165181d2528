"""What goes out about bundles and promotions."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    history_needed: int
    horizons: list[int]
    quantile_levels: list[float]
    train_end: date | None
    calibration_end: date | None
    current_params: ServedParams
    metrics: ServedMetrics


class PromotionRead(Part):
    """One line of the ledger."""

    id: int
    bundle_id: str
    previous_bundle_id: str | None
    kind: Literal["reference", "forced", "gate", "rollback"]
    decided_at: datetime
    decided_by: str
    reason: str | None
    figures: dict[str, Any] | None
