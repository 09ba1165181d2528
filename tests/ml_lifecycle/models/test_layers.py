"""The allowlist of layers."""

import pytest
from pydantic import ValidationError

from ml_lifecycle.models.layers import LayerConfig, named_layer


@pytest.mark.parametrize("name", ["LSTM", "Linear", "Dense", "Dropout", "ReLU", "Tanh", "Sigmoid", "Flatten"])
def test_every_allowed_layer_can_be_given_by_name(name: str) -> None:
    layer = LayerConfig.model_validate(named_layer(name, hidden_size=8, dropout=0.2))

    assert layer.type == ("Dense" if name == "Linear" else name)


@pytest.mark.parametrize("name", ["Lambda", "TorchModuleWrapper", "lstm", "GRU", "Functional"])
def test_no_other_layer_is_allowed(name: str) -> None:
    with pytest.raises(ValidationError):
        LayerConfig.model_validate(named_layer(name, hidden_size=8, dropout=0.2))


@pytest.mark.parametrize("units", [0, 1025])
def test_widths_have_a_range(units: int) -> None:
    with pytest.raises(ValidationError):
        LayerConfig(type="Dense", units=units)
