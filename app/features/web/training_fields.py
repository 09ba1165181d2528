"""The numbers that a training may be asked for with, and their ranges, read off what the API takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from app.features.training.schemas import TrainWish

NAMES: Final = (
    "lookback",
    "hidden_size",
    "num_layers",
    "dropout",
    "epochs",
    "learning_rate",
    "batch_size",
    "seed",
)


@dataclass(frozen=True)
class NumberField:
    """One input; a bound that the API excludes is let through here and refused there, in words."""

    name: str
    least: float
    most: float
    step: str


@cache
def training_fields() -> Sequence[NumberField]:
    """Every number of ``TrainWish``, under one of its names each."""
    properties = TrainWish.model_json_schema()["properties"]
    return tuple(_field(name, properties[name]["anyOf"][0]) for name in NAMES)


def _field(name: str, schema: dict[str, Any]) -> NumberField:
    return NumberField(
        name,
        least=schema["minimum"] if "minimum" in schema else schema["exclusiveMinimum"],
        most=schema["maximum"] if "maximum" in schema else schema["exclusiveMaximum"],
        step="1" if schema["type"] == "integer" else "any",
    )
