"""What is to be compared: told by the command line as options, by a job as JSON, by the chain after a close."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from data_pipeline.errors import ConfigurationError
from data_pipeline.ticker import parse_ticker

DAYS = 250  # a year: shorter windows are more often unlike the last one (docs/drift.md)


class DriftSpec(BaseModel):
    """One comparison.

    Attributes
    ----------
    bundle : by id, its beginning, or folder; None: the champion.
    reference_version : data version whose newest days are the reference; None: the bundle's training distribution.
    production_version : data version whose newest days are held against it; None: the newest.
    tickers : none: all that are stored, ``MOST_TICKERS`` of them at most.
    days : newest days of each side.
    asked_by : who or what, in words.
    job_id, work_dir : of a job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = None
    reference_version: int | None = Field(default=None, ge=0)
    production_version: int | None = Field(default=None, ge=0)
    tickers: tuple[Annotated[str, AfterValidator(parse_ticker)], ...] = ()
    days: int = Field(default=DAYS, ge=20, le=2500)
    asked_by: str = ""
    job_id: str | None = None
    work_dir: Path | None = None

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Read what a command or a job says.

        Raises
        ------
        ConfigurationError : names the first wrong field.
        MalformedTickerError
        """
        try:
            return cls.model_validate(spec)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise ConfigurationError(f"drift: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
