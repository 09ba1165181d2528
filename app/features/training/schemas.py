"""Jobs as they go over the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.features.configuration.schemas import Hyperparameters
from app.models.training_job import JobKind, JobStatus
from app.schemas.json_body import IsoDate, JsonBody
from data_pipeline.ticker import parse_ticker
from ml_lifecycle.training.period import Period

MOST_TICKERS = 500
Ticker = Annotated[str, AfterValidator(parse_ticker)]


class TrainWish(Hyperparameters):
    """What to train; an empty body: the champion's configuration on the tickers that it was trained on.

    Whatever is named changes the defaults (`GET /config`); without tickers all that are stored are trained on.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ticker": "AAPL", "start_date": "2005-01-01", "end_date": "2013-12-31", "lookback": 60, "epochs": 20},
                {"hyperparameters": {"learning_rate": 0.001, "num_epochs": 50, "hidden_size": 50}},
            ]
        }
    )

    ticker: Ticker | None = None
    tickers: Annotated[list[Ticker], Field(min_length=1, max_length=MOST_TICKERS)] | None = None
    start_date: IsoDate | None = Field(default=None, description="First day of the bars.")
    end_date: IsoDate | None = Field(default=None, description="Last day of the bars.")
    hyperparameters: Hyperparameters | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ticker is not None and self.tickers is not None:
            raise PydanticCustomError("one_of", "Give ticker or tickers, not both")
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise PydanticCustomError("dates_in_order", "start_date must be before end_date")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing was named."""
        return not self.model_dump(exclude_none=True)

    @property
    def named_tickers(self) -> list[str]:
        """The tickers, each once."""
        return [self.ticker] if self.ticker is not None else list(dict.fromkeys(self.tickers or ()))


class UpdateWish(JsonBody):
    """How the champion is to learn from newer bars."""

    model_config = ConfigDict(json_schema_extra={"example": {"period": "30d", "force_download": False}})

    period: Period | None = Field(
        default=None,
        description="Learn from the newest cutoffs of the training part alone, those of so long a time: `30d`, `4wk`, "
        "`6mo`, `1y`, `ytd`, `max`. Left out: from all of it.",
    )
    force_download: bool = Field(default=False, description="Ask the sources for newer bars of its tickers first.")


class JobTold(BaseModel):
    """What every answer about a job tells.

    `task_id` and `job_id` are one and the same.
    """

    task_id: UUID
    job_id: UUID
    kind: JobKind
    status: JobStatus
    message: str
    timestamp: datetime = Field(description="When it last came to another status.")


class JobAccepted(JobTold):
    """A job that waits for a worker."""

    status: Literal[JobStatus.QUEUED]
    metrics: None = Field(default=None, description="There are none yet: read the job again.")


class JobResult(BaseModel):
    """What came of a job; a training has all of these, other kinds some, and some of their own."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    bundle: str | None = Field(default=None, description="Id of the bundle; it is registered, not promoted.")
    model_path: str | None = Field(default=None, description="The same id: no path leads to a model.")
    final_train_loss: float | None = Field(default=None, description="Pinball, in units of volatility.")
    final_val_loss: float | None = Field(default=None, description="The same, of the weights that were kept.")
    val_rmse: float | None = Field(
        default=None, description="One trading day ahead, in listing currency, on days that decided nothing."
    )
    val_mae: float | None = None
    naive_val_rmse: float | None = Field(default=None, description="The naive forecast's, on the same days.")
    naive_val_mae: float | None = None
    training_duration_seconds: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_places(cls, result: Any) -> Any:
        """Where things lie on the worker's machine is nobody's business."""
        if not isinstance(result, Mapping):
            return result
        kept = {
            name: value for name, value in result.items() if name not in ("folder", "checkpoint", "training_seconds")
        }
        as_others_say = {
            "model_path": result.get("bundle"),
            "training_duration_seconds": result.get("training_seconds"),
        }
        return {**as_others_say, **kept}


class JobRead(JobTold):
    """One job."""

    reason: str = Field(description="Who or what asked for it.")
    attempt: int = Field(description="How many workers have begun it.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: dict[str, Any] | None = Field(description="What it told last, such as epoch and losses.")
    result: JobResult | None
    metrics: dict[str, float | None] | None = Field(description="Figures of the result beside the naive forecast's.")
    failure: str | None


class JobLine(BaseModel):
    """One line that a job told."""

    seq: int
    at: datetime
    text: str
