"""Configurations: names of other systems, ranges, one line per error."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.input_columns import find_column
from ml_lifecycle.models.layers import LayerConfig
from ml_lifecycle.training.config import CONFIGS, load_config, load_document, parse_config
from ml_lifecycle.training.config_document import DataChoice, as_document


@pytest.mark.parametrize(("name", "longest_history"), [("default", 400), ("demo", 320), ("closes", 60)])
def test_the_packaged_configurations_are_valid_and_serve_from_so_many_bars(name: str, longest_history: int) -> None:
    config = load_config(name)

    assert config.name == name
    assert config.input_spec.history_needed <= longest_history


def test_the_packaged_closes_read_closes_only() -> None:
    """A client's own window has no day, no range, no volume and no market."""
    config = load_config("closes")

    assert {find_column(name).reads for name in (*config.columns, *config.context_columns)} == {"closes"}


def test_without_a_name_the_default_is_read() -> None:
    assert load_config() == load_config(CONFIGS / "default.yaml")


def test_a_change_stands_over_the_file() -> None:
    assert load_config("demo", seed=11).seed == 11


def test_the_names_of_the_reference_systems_are_understood() -> None:
    config = parse_config(
        {"hidden_size": 50, "num_layers": 2, "num_epochs": 5, "seq_length": 30, "learning_rate": 0.01, "dropout": 0.2}
    )

    assert (config.epochs, config.lookback, config.learning_rate) == (5, 30, 0.01)
    assert [layer.type for layer in config.body] == ["LSTM", "Dropout", "LSTM", "Dropout"]
    assert config.body[0].units == 50


def test_a_width_asked_for_over_a_packaged_configuration_is_not_lost() -> None:
    config = load_config("default", hidden_size=50, num_layers=2)

    assert [layer.units for layer in config.body] == [50, 50, 50, None]


def test_a_change_under_another_name_stands_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("epochs: 3\nlookback: 30\nhyperparameters: {seq_length: 30}\n")

    config = load_config(file, num_epochs=5)

    assert (config.epochs, config.lookback) == (5, 30)


def test_hyperparameters_may_come_in_a_box_of_their_own() -> None:
    config = parse_config({"hyperparameters": {"learning_rate": 0.002, "num_epochs": 4, "hidden_size": 8}})

    assert (config.learning_rate, config.epochs, config.hidden_size) == (0.002, 4, 8)


def test_layers_may_be_given_by_name_and_the_last_linear_is_the_head() -> None:
    config = parse_config({"layer_config": ["LSTM", "Dropout", "Linear", "ReLU", "Linear"], "hidden_size": 12})

    assert config.body == (
        LayerConfig(type="LSTM", units=12),
        LayerConfig(type="Dropout", rate=0.1),
        LayerConfig(type="Dense", units=12),
        LayerConfig(type="ReLU"),
    )


def test_one_lstm_by_name_is_repeated_as_often_as_num_layers_says() -> None:
    config = parse_config({"layer_config": ["LSTM", "Linear"], "num_layers": 3, "hidden_size": 16})

    assert config.body == (LayerConfig(type="LSTM", units=16),) * 3


def test_a_list_without_lstm_or_flatten_sees_the_window_flattened() -> None:
    config = parse_config({"layers": [{"type": "Dense", "units": 4}, "ReLU"]})

    assert [layer.type for layer in config.body] == ["Flatten", "Dense", "ReLU"]


def test_a_configuration_survives_json() -> None:
    config = load_config("demo", layer_config=["LSTM", "Linear"])

    assert parse_config(config.model_dump(mode="json")) == config


def test_dates_may_be_named() -> None:
    config = parse_config({"train_end": "2018-12-31", "validation_end": "2019-12-31", "calibration_end": "2020-12-31"})

    assert config.validation_end == date(2019, 12, 31)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"lookback": 4}, "lookback: Input should be greater than or equal to 5"),
        ({"hidden_size": 513}, "hidden_size: Input should be less than or equal to 512"),
        ({"learning_rate": "fast"}, "learning_rate: Input should be a valid number"),
        ({"optimiser": "sgd"}, "optimiser: Extra inputs are not permitted"),
        ({"epochs": 3, "num_epochs": 4}, "epochs is given two values"),
        ({"lookback": 30, "hyperparameters": {"seq_length": 60}}, "lookback is given two values"),
        ({"hyperparameters": 5}, "hyperparameters must be a mapping"),
        ({"layers": "LSTM"}, "layers: Input should be a valid tuple"),
        ({"columns": ["nonsense"]}, "no input column 'nonsense'"),
        ({"context_columns": []}, "context_columns: Tuple should have at least 1 item"),
        ({"layers": ["Lambda"]}, "layers.0.type: Input should be 'LSTM', 'Dense'"),
        ({"layers": [{"type": "Dropout", "units": 3}]}, "layers.0: Value error, Dropout takes no units"),
        ({"layers": [{"type": "LSTM"}]}, "layers.0: Value error, LSTM needs units"),
        ({"layers": ["Flatten", "LSTM"]}, "no LSTM after Flatten"),
        ({"layers": ["Flatten", "Flatten"]}, "one Flatten at most"),
        ({"horizons": [1, 5, 21]}, "horizons must ascend from 1 to 30"),
        ({"levels": [0.1, 0.5, 0.8]}, "levels must ascend, mirror each other and hold 0.5"),
        ({"levels": [0.1, 0.9]}, "levels must ascend, mirror each other and hold 0.5"),
        ({"train_share": 0.9, "validation_share": 0.1}, "must leave a test part"),
        ({"train_end": "2020-01-01"}, "give all three or none"),
        (
            {"train_end": "2020-01-01", "validation_end": "2019-01-01", "calibration_end": "2021-01-01"},
            "train_end < validation_end < calibration_end",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_names_the_field(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_config(content)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["- a list", "{unclosed", "\x00"])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"broken\.yaml: ") as refused:
        load_config(file)

    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
        load_config(tmp_path / "absent.yaml")


DOCUMENT = """
metadata: {name: best, chosen_by: the gate, skill: 0.01}
model: {seq_length: 30, hidden_size: 8}
training: {num_epochs: 2, learning_rate: 0.002}
data: {tickers: [IBM, MSFT], start_date: 2001-01-01, gate_days: 100}
"""


def test_a_configuration_may_be_told_in_four_parts(tmp_path: Path) -> None:
    """As `best_config.yaml` does; what else the metadata keep is of no matter, the bars are told apart."""
    file = tmp_path / "best_config.yaml"
    file.write_text(DOCUMENT)

    config, data = load_config(file), load_document(file).data

    assert config == parse_config(
        {"name": "best", "lookback": 30, "hidden_size": 8, "epochs": 2, "learning_rate": 0.002, "gate_days": 100}
    )
    assert (data.tickers, data.start_date, data.data_version) == (("IBM", "MSFT"), date(2001, 1, 1), None)


@pytest.mark.parametrize("name", ["default", "demo", "closes"])
def test_a_configuration_told_in_four_parts_is_the_same_one(name: str, tmp_path: Path) -> None:
    """Through YAML, as it is kept; every field has its part."""
    config = load_config(name)
    told = as_document(config, metadata={"bundle": "0" * 64}, data=DataChoice(tickers=("IBM",)))
    file = tmp_path / "told.yaml"
    file.write_text(yaml.safe_dump(told))

    assert load_config(file) == config
    assert load_document(file).data == DataChoice(tickers=("IBM",))
    assert sum(map(len, told.values())) == len(type(config).model_fields) + 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: [LSTM]\n", "model: a mapping of field names to values wanted"),
        ("model: {widht: 4}\n", "widht: Extra inputs are not permitted"),
        ("data: {tickers: 4}\n", "data.tickers: Input should be a valid tuple"),
        ("data: {window: 4}\n", "window: Extra inputs are not permitted"),
    ],
)
def test_what_a_document_tells_wrong_is_named(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=re.escape(f"{file}: {message}")):
        load_config(file)


def test_parts_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """The later one would stand in silence; saying the same twice is no contradiction."""
    file = tmp_path / "parts.yaml"
    file.write_text("model: {epochs: 3}\ntraining: {epochs: 4}\n")

    with pytest.raises(ConfigurationError, match=r"parts\.yaml: epochs is given two values, in two parts"):
        load_config(file)
    file.write_text("model: {epochs: 3}\ntraining: {epochs: 3}\n")
    assert load_config(file).epochs == 3
