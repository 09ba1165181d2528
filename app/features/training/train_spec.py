"""What a training is told: by the command line as options, by a job as JSON."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from data_pipeline.errors import ConfigurationError
from data_pipeline.ticker import parse_ticker


class TrainSpec(BaseModel):
    """One training; what is left out is as ``closecast train --help`` says.

    Attributes
    ----------
    config : a YAML file, or the name of a packaged configuration.
    content : a configuration in full, instead of ``config``; its bars may be told in it (``config_document``).
    columns : a module of the user's own input columns, by file or importable name.
    fine_tune : the bundle to go on from, on ``tickers`` alone.
    tickers, data_version, start_date, end_date : which bars; they win over what the configuration names.
    checkpoint : folder of the run; None: ``work_dir``, or the configuration's own below `home`.
    resume : go on with an interrupted run.
    job_id, work_dir : of a job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str | None = None
    content: dict[str, Any] | None = None
    columns: str | None = None
    fine_tune: str | None = None
    tickers: tuple[Annotated[str, AfterValidator(parse_ticker)], ...] = ()
    data_version: int | None = Field(default=None, ge=0)
    start_date: date | None = None
    end_date: date | None = None
    checkpoint: Path | None = None
    resume: bool = True
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
            raise ConfigurationError(f"training: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
