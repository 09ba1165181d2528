"""Which configurations a tuning may try: a base, strategies, and values or ranges of its fields, told in YAML."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.config import ALIASES, CONFIGS, TrainingConfig, configured, load_document
from ml_lifecycle.training.config_document import PARTS_OF_TIME, ConfigDocument
from ml_lifecycle.training.strategies import OWN_STRATEGY, STRATEGIES, named_strategy
from ml_lifecycle.training.yaml_file import read_yaml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SPACE = "search_space"
STRATEGY = "strategy"  # what the choice of the strategy is called among the parameters
LARGEST_GRID = 10_000
# Horizons and levels are what is measured, days are the folds'; a seed that wins has been lucky and nothing else.
FIXED: Final = PARTS_OF_TIME | {"name", "seed", "horizons", "levels", "input_kind", "own_columns", "fine_tune"}
TUNABLE: Final = frozenset(TrainingConfig.model_fields) - FIXED
_READ = ("columns", "context_columns", "scale_length")  # with the lookback, what decides how many bars are needed
_BODY = ("layers", "hidden_size", "num_layers", "dropout")

Scalar = bool | int | float | str
Value = Scalar | list[Scalar] | list[dict[str, Any]]


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, whole ones where both are.

    Attributes
    ----------
    log : orders of magnitude are equally likely.
    step : only every so manieth number.
    points : how many of them a grid takes; a grid takes every step where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    points: int | None = Field(default=None, ge=2, le=100)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log wants a low above 0 and no step")
        if self.step is not None and abs((steps := (self.high - self.low) / self.step) - round(steps)) > 1e-9:
            raise ValueError("from low to high it must be whole steps")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    def ends(self) -> tuple[float, float]:
        """The lowest and the highest number."""
        return self.low, self.high

    def values(self) -> list[Any]:
        """What a grid tries.

        Raises
        ------
        ValueError : neither a step nor a number of points is told.
        """
        if self.step is not None:
            found = self.low + self.step * np.arange(int((self.high - self.low) / self.step + 1e-9) + 1)
        elif self.points is not None:
            spread = np.geomspace if self.log else np.linspace
            found = spread(self.low, self.high, self.points)
        else:
            raise ValueError("a grid wants a step, points, or a list of values")
        return list(dict.fromkeys(round(value) if self.is_whole else float(f"{value:.6g}") for value in found.tolist()))

    def distribution(self) -> "BaseDistribution":
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


Parameter = Range | Annotated[list[Value], Field(min_length=1, max_length=50)]


class SearchSpace(BaseModel):
    """What may be tried.

    Attributes
    ----------
    base : the training configuration that holds for all else: a packaged one by its name, or a YAML file.
    strategies : ways to train, see ``strategies``.
    parameters : by field of ``TrainingConfig``, a list of values or a ``Range``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Annotated[str, Field(min_length=1, max_length=1000)] = "default"
    strategies: Annotated[tuple[str, ...], Field(min_length=1)] = (OWN_STRATEGY,)
    parameters: Annotated[dict[str, Parameter], Field(max_length=20)] = {}

    @field_validator("strategies")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                named_strategy(name)
            except ConfigurationError as error:
                raise ValueError(str(error)) from error
        if len(set(names)) < len(names):
            raise ValueError("a strategy is named twice")
        return names

    @field_validator("parameters")
    @classmethod
    def _tunable(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        told = {ALIASES.get(name, name): values for name, values in parameters.items()}
        if unknown := sorted(set(told) - TUNABLE):
            raise ValueError(f"{unknown[0]} is nothing to search: {', '.join(sorted(TUNABLE))} are")
        if len(told) < len(parameters):
            raise ValueError("a parameter is named twice, under two spellings")
        return told

    @property
    def uses_packaged_base(self) -> bool:
        """Whether the base is one that every installation has, and no file of this machine."""
        return self.base in {file.stem for file in CONFIGS.glob("*.yaml")} - {SPACE, "fine_tune"}

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of strategy and values, as ``distributions`` spells them.

        Raises
        ------
        ConfigurationError : a range has no steps, or there are too many combinations.
        """
        axes = {STRATEGY: list(self.strategies), **{name: self._values(name) for name in self.parameters}}
        if (size := int(np.prod([len(values) for values in axes.values()], dtype=np.float64))) > LARGEST_GRID:
            raise ConfigurationError(f"the grid has {size} combinations, {LARGEST_GRID} at most are tried: name fewer")
        return [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())]

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """The space for Optuna; values that it cannot store are spelled as JSON."""
        from optuna.distributions import CategoricalDistribution

        found: dict[str, BaseDistribution] = {STRATEGY: CategoricalDistribution(self.strategies)}
        for name, parameter in self.parameters.items():
            if isinstance(parameter, Range):
                found[name] = parameter.distribution()
            else:
                found[name] = CategoricalDistribution([spelled(value) for value in parameter])
        return found

    def _values(self, name: str) -> list[Any]:
        parameter = self.parameters[name]
        try:
            return parameter.values() if isinstance(parameter, Range) else [spelled(value) for value in parameter]
        except ValueError as error:
            raise ConfigurationError(f"parameters.{name}: {error}") from error


class Candidates:
    """The configurations of a space, over a base that has been read once and can travel.

    Parameters
    ----------
    changes : what no choice may touch, the gate's days for one.
    """

    def __init__(self, space: SearchSpace, base: ConfigDocument, **changes: Any) -> None:
        self.space, self.base, self.changes = space, base, changes

    @classmethod
    def of(cls, space: SearchSpace, **changes: Any) -> Self:
        """Read the base, and see that every value can be tried.

        Raises
        ------
        ConfigurationError : the base is unreadable, or a value is refused or changes nothing.
        """
        found = cls(space, load_document(space.base), **changes)
        for choice in found._each_alone():
            found.config(choice)
        found._require_effect()
        return found

    def config(self, choice: Mapping[str, Any]) -> TrainingConfig:
        """The configuration of a choice, as ``grid`` and Optuna tell it.

        Raises
        ------
        ConfigurationError : the values do not go together.
        """
        strategy = named_strategy(choice[STRATEGY])
        chosen = {name: self.told(name, value) for name, value in choice.items() if name != STRATEGY}
        told = ", ".join(f"{name}={value}" for name, value in choice.items())
        return configured(self.base, where=f"search space ({told})", **{**strategy.changes, **chosen, **self.changes})

    def told(self, name: str, value: Any) -> Any:
        """A value as the configuration takes it."""
        parameter = self.space.parameters[name]
        if isinstance(parameter, Range) or not isinstance(value, str):
            return value
        return next(each for each in parameter if spelled(each) == value)

    @cached_property
    def history_needed(self) -> int:
        """Bars that every configuration of the space can forecast from.

        ``InputSpec.history_needed`` is the largest of three terms, of lookback and columns, of the context, and of the
        scale: with the longest lookback, each of the others alone brings its own to its height.
        """
        longest = {"lookback": max(self._extremes("lookback"))} if "lookback" in self.space.parameters else {}
        alone = [{name: value} for name in _READ if name in self.space.parameters for value in self._extremes(name)]
        choices = (
            {**self.first(), **longest, **changed, STRATEGY: strategy}
            for strategy in self.space.strategies
            for changed in ({}, *alone)
        )
        return max(self.config(choice).input_spec.history_needed for choice in choices)

    def first(self) -> dict[str, Any]:
        """The first choice of all."""
        return {STRATEGY: self.space.strategies[0], **{name: self._extremes(name)[0] for name in self.space.parameters}}

    def _extremes(self, name: str) -> list[Any]:
        parameter = self.space.parameters[name]
        return list(parameter.ends()) if isinstance(parameter, Range) else [spelled(value) for value in parameter]

    def _each_alone(self) -> Iterator[dict[str, Any]]:
        for strategy in self.space.strategies:
            first = {**self.first(), STRATEGY: strategy}
            yield first
            for name in self.space.parameters:
                yield from ({**first, name: value} for value in self._extremes(name)[1:])

    def _require_effect(self) -> None:
        """A width, say, is of no account where the base spells its layers out: half of the trials would be repeats."""
        for name in set(_BODY) & set(self.space.parameters):
            bodies = {self.config({**self.first(), name: value}).body for value in self._extremes(name)}
            if len(bodies) < len(self._extremes(name)):
                raise ConfigurationError(f"parameters.{name} changes nothing in the layers of {self.space.base}")


def load_space(file: Path | None = None) -> SearchSpace:
    """Read a search space, or the packaged one.

    Raises
    ------
    ConfigurationError : one line that names the file and the first wrong field.
    """
    place = file or CONFIGS / f"{SPACE}.yaml"
    return parse_space(read_yaml(place), where=str(place))


def parse_space(content: Any, *, where: str = "search space") -> SearchSpace:
    """Validate a search space.

    Raises
    ------
    ConfigurationError : one line that names ``where`` and the first wrong field.
    """
    try:
        return SearchSpace.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"][:2]))  # what follows names the kinds of parameter that were tried
        told = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{where}: {field + ': ' if field else ''}{told}") from error


def every_strategy(base: str) -> SearchSpace:
    """The strategies side by side, each with the parameters of ``base`` and its own."""
    return SearchSpace(base=base, strategies=tuple(STRATEGIES))


def spelled(value: Value) -> Scalar:
    """A value as Optuna can store it: a list as JSON."""
    return json.dumps(value) if isinstance(value, list) else value
