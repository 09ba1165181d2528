"""What a training is told: by the command line as options, by a job as JSON."""

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field

from ml_lifecycle.training.job_spec import JobSpec


class TrainSpec(JobSpec):
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
    job_id, work_dir : see ``JobSpec``.
    """

    work = "training"

    config: str | None = None
    content: dict[str, Any] | None = None
    columns: str | None = None
    fine_tune: str | None = None
    data_version: int | None = Field(default=None, ge=0)
    start_date: date | None = None
    end_date: date | None = None
    checkpoint: Path | None = None
    resume: bool = True
