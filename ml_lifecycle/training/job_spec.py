"""What every piece of long work is told: by the command line as options, by a job as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from data_pipeline.errors import ConfigurationError
from data_pipeline.ticker import parse_ticker


class JobSpec(BaseModel):
    """Base of the specs.

    Attributes
    ----------
    work : what it is called where a field is refused.
    tickers : whose bars.
    job_id, work_dir : of a job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    work: ClassVar[str]

    tickers: tuple[Annotated[str, AfterValidator(parse_ticker)], ...] = ()
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
            field = ".".join(map(str, first["loc"]))
            told = first["msg"].removeprefix("Value error, ")
            raise ConfigurationError(f"{cls.work}: {field + ': ' if field else ''}{told}") from error
