"""Tunings as they go over the wire."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.features.training.schemas import MOST_TICKERS, Ticker
from app.schemas.json_body import JsonBody
from ml_lifecycle.training.search_space import SearchSpace
from ml_lifecycle.training.tune_spec import MOST_TRIALS, Backend, Search, TuneSpec

SPACE_EXAMPLE: JsonDict = {
    "base": "default",
    "parameters": {"learning_rate": {"low": 0.0001, "high": 0.003, "log": True}, "hidden_size": [16, 32, 64]},
}


class TuneWish(JsonBody):
    """What to search; the same as `closecast tune` takes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"trials": 20, "search": "asha", "space": SPACE_EXAMPLE, "study": "spring"}]}
    )

    trials: int | None = Field(default=None, ge=1, le=MOST_TRIALS, description="A grid may do without.")
    backend: Backend = Field(default="local", description="`ray`: the worker's cluster.")
    search: Search = "tpe"
    space: SearchSpace | None = Field(
        default=None,
        description="What may be tried: strategies, and values or ranges of configuration fields over a packaged "
        "configuration. Left out: the packaged space.",
    )
    compare_strategies: bool = Field(default=False, description="Each strategy once, on the same folds.")
    tickers: Annotated[list[Ticker], Field(min_length=1, max_length=MOST_TICKERS)] | None = None
    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")] = Field(
        default="tune", description="Your trials are kept under it; asked for again, the search goes on."
    )
    workers: int = Field(default=1, ge=1, le=16, description="Trials at a time.")
    folds: int = Field(default=4, ge=2, le=20, description="That walk forward.")
    every: int = Field(default=5, ge=1, le=21, description="Trading days between two cutoffs on them.")

    @field_validator("space")
    @classmethod
    def _names_no_file(cls, space: SearchSpace | None) -> SearchSpace | None:
        if space is not None and not space.uses_packaged_base:
            raise PydanticCustomError("packaged_base", "base names a packaged configuration, no file")
        return space

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        TuneSpec.model_validate(self._told())
        return self

    def spec(self, *, owner: str) -> dict[str, Any]:
        """What the job is told; a study belongs to who asked for it."""
        return {**self._told(), "study": f"{owner}.{self.study}"}

    def _told(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)
