"""What a tuning is told: by the command line as options, by a job as JSON."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ml_lifecycle.training.job_spec import JobSpec
from ml_lifecycle.training.search_space import SearchSpace, every_strategy, load_space

Backend = Literal["local", "ray"]
Search = Literal["grid", "tpe", "asha"]
MOST_TRIALS = 10_000
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]


class TuneSpec(JobSpec):
    """One tuning; what is left out is as ``closecast tune --help`` says.

    Attributes
    ----------
    trials : how many; None: all combinations of a grid, which is the only search that ends by itself.
    backend : processes of this machine, or a Ray cluster (``RAY_ADDRESS``, or one that is started for the tuning).
    search : every combination; Optuna's TPE, which gives up what is below the median of former trials on the same
        folds; or TPE with successive halving.
    space : what may be tried; None: the packaged search space.
    compare_strategies : every strategy once instead, each as ``space.base`` has it otherwise.
    tickers, data_version : which bars; none: the newest of all stored tickers.
    study : the name under which trials are kept, and a killed tuning goes on.
    workers : trials at a time.
    folds, every : folds that walk forward, and trading days between two cutoffs on them.
    job_id, work_dir : see ``JobSpec``.
    """

    work = "tune"

    trials: int | None = Field(default=None, ge=1, le=MOST_TRIALS)
    backend: Backend = "local"
    search: Search = "tpe"
    space: SearchSpace | None = None
    compare_strategies: bool = False
    data_version: int | None = Field(default=None, ge=0)
    study: StudyName = "tune"
    workers: int = Field(default=1, ge=1, le=256)
    folds: int = Field(default=4, ge=2, le=20)
    every: int = Field(default=5, ge=1, le=21)
    seed: int = Field(default=7, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.trials is None and self.search != "grid" and not self.compare_strategies:
            raise ValueError(f"trials: {self.search} does not end by itself, say how many")
        if self.compare_strategies and self.space is not None and self.space.parameters:
            raise ValueError("compare_strategies takes the base alone: a space with parameters is searched by a grid")
        return self

    def searched(self) -> SearchSpace:
        """The space that is searched."""
        space = self.space or load_space()
        return every_strategy(space.base) if self.compare_strategies else space

    @property
    def is_grid(self) -> bool:
        """Whether every combination is tried."""
        return self.search == "grid" or self.compare_strategies
