"""A training told in four parts: what it is called, the network, its training, and the data it is trained on.

``best_config.yaml`` and ``/config`` have this form; ``closecast train --config`` takes it as well as the plain one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from data_pipeline.errors import ConfigurationError
from data_pipeline.ticker import parse_ticker

if TYPE_CHECKING:
    from ml_lifecycle.training.config import TrainingConfig

# Fields of `TrainingConfig` by the part that tells them; `model` has the others.
TRAINING: Final = frozenset(
    {
        "fine_tune",
        "seed",
        "learning_rate",
        "weight_decay",
        "weight_average",
        "batch_size",
        "epochs",
        "validate_every",
        "patience",
        "every_days",
    }
)
PARTS_OF_TIME: Final = frozenset(
    {
        "train_share",
        "validation_share",
        "calibration_share",
        "gate_days",
        "train_end",
        "validation_end",
        "calibration_end",
        "train_period",
    }
)
METADATA: Final = frozenset({"name"})
PARTS: Final = ("metadata", "model", "training", "data")


class DataChoice(BaseModel):
    """Which bars a training is given; nothing said: the newest of all stored tickers.

    Attributes
    ----------
    start_date, end_date : the first and the last day of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tickers: tuple[Annotated[str, AfterValidator(parse_ticker)], ...] = ()
    data_version: int | None = Field(default=None, ge=0)
    start_date: date | None = None
    end_date: date | None = None


@dataclass(frozen=True)
class ConfigDocument:
    """What a document says: the fields of ``TrainingConfig`` side by side, and the bars."""

    config: Mapping[str, Any]
    data: DataChoice

    @classmethod
    def read(cls, content: Mapping[str, Any], *, where: str = "training configuration") -> Self:
        """Take the four parts apart; a plain configuration is one that names no bars.

        ``metadata`` may hold whatever else is worth keeping; of it only the name counts.

        Raises
        ------
        ConfigurationError : a part is no mapping, two parts contradict each other, or its bars are told wrong.
        MalformedTickerError
        """
        if not is_document(content):
            return cls(content, DataChoice())
        parts = {name: content.get(name) or {} for name in PARTS}
        if wrong := [name for name, part in parts.items() if not isinstance(part, Mapping)]:
            raise ConfigurationError(f"{where}: {wrong[0]}: a mapping of field names to values wanted")
        named = {name: value for name, value in parts["metadata"].items() if name in METADATA}
        bars = {name: value for name, value in parts["data"].items() if name in DataChoice.model_fields}
        time = {name: value for name, value in parts["data"].items() if name not in DataChoice.model_fields}
        fields: dict[str, Any] = {}
        for part in (named, parts["model"], parts["training"], time):
            if twice := [name for name, value in part.items() if name in fields and fields[name] != value]:
                raise ConfigurationError(f"{where}: {twice[0]} is given two values, in two parts")
            fields |= part
        try:
            return cls(fields, DataChoice.model_validate(bars))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise ConfigurationError(f"{where}: data.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def is_document(content: Mapping[str, Any]) -> bool:
    """Whether a configuration is told in parts.

    >>> is_document({"model": {"lookback": 40}}), is_document({"lookback": 40})
    (True, False)
    """
    return bool(content) and set(content) <= set(PARTS)


def as_document(
    config: "TrainingConfig", *, metadata: Mapping[str, Any], data: DataChoice | None = None
) -> dict[str, dict[str, Any]]:
    """The four parts of a configuration, as JSON and YAML can tell them; ``read`` gives the same configuration again.

    Parameters
    ----------
    metadata : what else is worth keeping beside the name.
    data : the bars; None: the newest of all stored tickers.
    """
    return in_parts(config.model_dump(mode="json"), metadata=metadata, data=data)


def in_parts(
    fields: Mapping[str, Any], *, metadata: Mapping[str, Any], data: DataChoice | None = None
) -> dict[str, dict[str, Any]]:
    """Fields of a configuration, as a file or a bundle has them, in their parts; see ``as_document``."""
    bars = data.model_dump(mode="json", exclude_defaults=True) if data else {}
    parts: dict[str, dict[str, Any]] = {"metadata": {}, "model": {}, "training": {}, "data": bars}
    for name, value in fields.items():
        parts[part_of(name)][name] = value
    parts["metadata"] |= metadata
    return parts


def part_of(name: str) -> str:
    """The part that tells a field of ``TrainingConfig``.

    >>> part_of("epochs"), part_of("layers"), part_of("gate_days")
    ('training', 'model', 'data')
    """
    if name in METADATA:
        return "metadata"
    return "training" if name in TRAINING else "data" if name in PARTS_OF_TIME else "model"
