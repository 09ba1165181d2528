"""The layers a network may be made of: the same list for the configuration and for the loader of a bundle."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LayerType = Literal["LSTM", "Dense", "Dropout", "ReLU", "Tanh", "Sigmoid", "Flatten"]

ALLOWED_ACTIVATIONS = frozenset({"linear", "relu", "tanh", "sigmoid", "softplus"})
# Class names as a `.keras` archive spells them. Nothing here runs code of its own making: no Lambda, no custom class.
ALLOWED_KERAS_CLASSES = frozenset(
    {
        "Functional",
        "InputLayer",
        "LSTM",
        "Dense",
        "Dropout",
        "Activation",
        "Flatten",
        "Concatenate",
        "Average",
        "Reshape",
        "Normalization",
    }
)


class LayerConfig(BaseModel):
    """One layer of the list that describes a network.

    Attributes
    ----------
    units : width of an LSTM or Dense layer.
    rate : share of a Dropout layer's inputs that are left out in training.
    activation : of a Dense layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: LayerType
    units: int | None = Field(default=None, ge=1, le=1024)
    rate: float | None = Field(default=None, ge=0.0, lt=1.0)
    activation: Literal["linear", "relu", "tanh", "sigmoid"] | None = None

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> "LayerConfig":
        wanted = {"LSTM": {"units"}, "Dense": {"units", "activation"}, "Dropout": {"rate"}}.get(self.type, set())
        given = {name for name in ("units", "rate", "activation") if getattr(self, name) is not None}
        if given - wanted:
            raise ValueError(f"{self.type} takes no {', '.join(sorted(given - wanted))}")
        if wanted - given - {"activation"}:
            raise ValueError(f"{self.type} needs {', '.join(sorted(wanted - given - {'activation'}))}")
        return self


def named_layer(name: str, *, hidden_size: int, dropout: float) -> dict[str, Any]:
    """A layer given by name alone, as in ``layer_config: ["LSTM", "Linear"]``; "Linear" is Dense by another name."""
    if name == "LSTM":
        return {"type": "LSTM", "units": hidden_size}
    if name in ("Linear", "Dense"):
        return {"type": "Dense", "units": hidden_size}
    if name == "Dropout":
        return {"type": "Dropout", "rate": dropout}
    return {"type": name}
