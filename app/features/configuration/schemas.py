"""Configurations as they go over the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.json_body import JsonBody

Part = dict[str, Any]
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]
MODEL, TRAINING, DATA = (
    "The network: its inputs, layers and outputs.",
    "How it is trained.",
    "Which bars it is trained on, and which days belong to which part.",
)


class Hyperparameters(JsonBody):
    """What is most often changed, under our names and those of other systems; what is left out is as configured."""

    lookback: int | None = Field(default=None, ge=5, le=200, description="Bars in one window.")
    seq_length: int | None = Field(default=None, ge=5, le=200, description="The same as `lookback`.")
    hidden_size: int | None = Field(default=None, ge=1, le=512, description="Units of an LSTM.")
    num_layers: int | None = Field(default=None, ge=1, le=5, description="LSTMs, one after the other.")
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0)
    epochs: int | None = Field(default=None, ge=1, le=1000, description="At most; early stopping usually ends it.")
    num_epochs: int | None = Field(default=None, ge=1, le=1000, description="The same as `epochs`.")
    learning_rate: LearningRate | None = None
    batch_size: int | None = Field(default=None, ge=1, le=65536)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)


class ConfigParts(BaseModel):
    """A configuration in four parts."""

    metadata: Part = Field(description="What it is called, and whatever else is worth keeping.")
    model: Part = Field(description=MODEL)
    training: Part = Field(description=TRAINING)
    data: Part = Field(description=DATA)


class DefaultsRead(ConfigParts):
    """What a training begins with where nothing else is said."""

    version: int = Field(description="0: as the package brings it.")
    changed_at: datetime | None
    changed_by: str | None


class ConfigRead(ConfigParts):
    """The champion's configuration, and the defaults; the four parts at the top are the champion's once more."""

    champion: ConfigParts = Field(
        description="Of the reference, which is not trained, all parts but metadata are empty."
    )
    defaults: DefaultsRead


class NewDefaults(JsonBody):
    """The defaults, in full; a field that is left out is as `TrainingConfig` has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "metadata": {"name": "small"},
                "model": {"lookback": 40, "layers": ["LSTM", "Dense", "ReLU", "Linear"], "hidden_size": 16},
                "training": {"learning_rate": 0.0005, "epochs": 4, "every_days": 10},
                "data": {"train_share": 0.7, "validation_share": 0.12, "calibration_share": 0.08},
            }
        }
    )

    metadata: Part = Field(default_factory=dict)
    model: Part
    training: Part
    data: Part = Field(default_factory=dict)


class ChangedDefaults(Hyperparameters):
    """A part of the defaults; all else stays. Fields stand in their part, in `hyperparameters`, or by themselves."""

    model_config = ConfigDict(json_schema_extra={"example": {"training": {"learning_rate": 0.001}, "hidden_size": 48}})

    metadata: Part = Field(default_factory=dict)
    model: Part = Field(default_factory=dict)
    training: Part = Field(default_factory=dict)
    data: Part = Field(default_factory=dict)
    hyperparameters: Hyperparameters | None = None
