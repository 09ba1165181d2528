"""What comes in and goes out about drift."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from app.features.drift.drift_spec import DAYS
from app.models.drift import DriftReport
from app.models.training_job import TrainingJob
from app.schemas.json_body import JsonBody


def _plain_version(value: object) -> object:
    """`"3"` and `"v3"`, as clients of system A may spell a version, are 3."""
    digits = value.removeprefix("v") if isinstance(value, str) else ""
    return int(digits) if digits.isdecimal() and len(digits) < 10 else value


Version = Annotated[
    int,
    BeforeValidator(
        _plain_version, json_schema_input_type=int | Annotated[str, StringConstraints(pattern="^v?[0-9]{1,9}$")]
    ),
    Field(ge=0, le=2**31 - 1),
]
TickerText = Annotated[str, StringConstraints(min_length=1, max_length=20)]


class DriftWish(JsonBody):
    """What is to be compared with what; an empty body: the newest bars with the champion's training."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ticker": "AAPL", "reference_version": 1, "production_version": 4}, {}]}
    )

    ticker: TickerText | None = Field(default=None, description="Its bars alone.")
    tickers: list[TickerText] | None = Field(
        default=None, max_length=200, description="Null or empty: all that are stored, 200 of them at most."
    )
    reference_version: Version | None = Field(
        default=None, description="Data version that is the reference; null: the bundle's training distribution."
    )
    production_version: Version | None = Field(default=None, description="Null: the newest.")
    bundle: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Null: the champion."
    )
    days: int = Field(default=DAYS, ge=20, le=2500, description="Newest trading days of each side.")

    @model_validator(mode="after")
    def _one_way_to_name_tickers(self) -> Self:
        if self.ticker is not None and self.tickers:
            raise ValueError("name `ticker` or `tickers`")
        return self

    @property
    def named(self) -> list[str]:
        """The tickers asked for; none: all."""
        return [self.ticker] if self.ticker is not None else self.tickers or []


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ColumnRead(Part):
    """How far one input column lies from its reference."""

    column: str
    psi: float = Field(description="Population stability index over the reference's deciles.")
    ks: float = Field(description="Largest distance of the two distribution functions.")
    effective_n: float = Field(description="Independent values that the comparison is worth.")
    p_value: float = Field(description="Of `ks`, with so many values.")
    provable: bool | None = Field(
        default=None, description="Whether so many values could prove a difference; null in reports of older releases."
    )
    severity: Literal["none", "moved", "far"]


class ErrorChangeRead(Part):
    """From this day on, about, the level was another."""

    day: date
    before: float
    after: float


class ErrorRead(Part):
    """Live errors one step ahead, each day's sum over the naive forecast's."""

    n_days: int
    relative: float | None = Field(description="Mean since the newest change; below 1 is better than the naive.")
    changes: list[ErrorChangeRead]
    severity: Literal["none", "moved", "far"]


class DriftCoverageRead(Part):
    """Live coverage one step ahead over the newest scored days."""

    level: float
    n: int
    n_days: int
    coverage: float
    p_value: float
    severity: Literal["none", "moved", "far"]


class DriftRead(Part):
    """A comparison; until its job has succeeded, its figures are null."""

    id: UUID
    task_id: UUID = Field(description="The same; the job at /train/{id}, where a job makes it.")
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    failure: str | None = None
    made_at: datetime | None = None
    asked_by: str | None = Field(default=None, description="Told to whoever asked, and to administrators.")
    bundle_id: str | None = None
    reference_version: int | None = None
    production_version: int | None = None
    days: int | None = None
    n_tickers: int | None = None
    has_drift: bool | None = Field(default=None, description="Anything moved: `recommendation` is not `ok`.")
    drifted_features: list[str] | None = None
    drift_scores: dict[str, float] | None = Field(default=None, description="`ks` of each input column.")
    recommendation: Literal["ok", "watch", "retrain"] | None = None
    reason: str | None = None
    columns: list[ColumnRead] | None = None
    error: ErrorRead | None = None
    coverage: list[DriftCoverageRead] | None = None

    @classmethod
    def of_report(cls, report: DriftReport) -> Self:
        """What was found."""
        kept = {name: getattr(report, name) for name in cls.model_fields if hasattr(report, name)}
        return cls.model_validate(
            {
                **kept,
                **fields_of_system_a(report.columns, report.recommendation),
                "task_id": report.id,
                "status": "succeeded",
                "n_tickers": len(report.tickers),
            }
        )

    @classmethod
    def of_job(cls, job: TrainingJob) -> Self:
        """What will be found."""
        return cls.model_validate(
            {"id": job.id, "task_id": job.id, "status": job.status, "failure": job.failure, "asked_by": job.reason}
        )


def fields_of_system_a(columns: list[dict[str, Any]], recommendation: str) -> dict[str, Any]:
    """The names that clients of system A read, with `recommendation` and `reason`."""
    return {
        "has_drift": recommendation != "ok",
        "drifted_features": [each["column"] for each in columns if each["severity"] != "none"],
        "drift_scores": {each["column"]: each["ks"] for each in columns},
    }
