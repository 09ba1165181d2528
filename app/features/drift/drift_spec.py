"""What is to be compared: told by the command line as options, by a job as JSON, by the chain after a close."""

from pydantic import Field

from ml_lifecycle.training.job_spec import JobSpec

DAYS = 250  # a year: shorter windows are more often unlike the last one (docs/drift.md)


class DriftSpec(JobSpec):
    """One comparison.

    Attributes
    ----------
    bundle : by id, its beginning, or folder; None: the champion.
    reference_version : data version whose newest days are the reference; None: the bundle's training distribution.
    production_version : data version whose newest days are held against it; None: the newest.
    tickers : none: all that are stored, ``MOST_TICKERS`` of them at most.
    days : newest days of each side.
    asked_by : who or what, in words.
    job_id, work_dir : see ``JobSpec``.
    """

    work = "drift"

    bundle: str | None = None
    reference_version: int | None = Field(default=None, ge=0)
    production_version: int | None = Field(default=None, ge=0)
    days: int = Field(default=DAYS, ge=20, le=2500)
    asked_by: str = ""
