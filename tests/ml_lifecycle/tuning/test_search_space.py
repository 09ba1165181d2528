"""What may be tried, and what a search space is refused for."""

from pathlib import Path
from typing import Any

import pytest

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.search_space import Candidates, every_strategy, load_space, parse_space
from ml_lifecycle.training.strategies import STRATEGIES

GOOD = {"base": "demo", "parameters": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True, "points": 3}}}


def test_a_grid_is_the_full_product_of_strategies_and_values() -> None:
    told = {
        "base": "demo",
        "strategies": ["volatility_units", "many_tickers_range"],
        "parameters": {
            "learning_rate": GOOD["parameters"]["learning_rate"],
            "lookback": {"low": 20, "high": 60, "step": 20},
            "layers": [["LSTM", "Linear"], ["LSTM", "LSTM", "Linear"]],
        },
    }

    grid = parse_space(told).grid()

    assert len(grid) == 2 * 3 * 3 * 2
    assert len({tuple(choice.items()) for choice in grid}) == len(grid)
    assert {choice["learning_rate"] for choice in grid} == {0.001, 0.01, 0.1}
    assert {choice["lookback"] for choice in grid} == {20, 40, 60}


def test_a_choice_goes_over_its_strategy_and_that_over_the_base() -> None:
    space = parse_space({"base": "demo", "strategies": ["one_ticker_raw"], "parameters": {"batch_size": [32, 16]}})
    candidates = Candidates.of(space, gate_days=100)

    config = candidates.config(space.grid()[0])

    assert (config.batch_size, config.epochs, config.members, config.gate_days) == (32, 10, 2, 100)
    assert config.columns[0] == "raw_open"


def test_layers_are_chosen_whole_though_optuna_stores_no_lists() -> None:
    space = parse_space({"base": "demo", "parameters": {"layers": [["LSTM", "Linear"], ["LSTM", "Dense", "Linear"]]}})
    candidates = Candidates.of(space)

    bodies = [[layer.type for layer in candidates.config(choice).body] for choice in space.grid()]

    assert bodies == [["LSTM"], ["LSTM", "Dense"]]
    assert space.distributions()["layers"].choices == tuple(choice["layers"] for choice in space.grid())


def test_the_bars_needed_are_those_of_the_longest_choice() -> None:
    space = parse_space(
        {"base": "demo", "parameters": {"lookback": [5, 200], "scale_length": {"low": 20, "high": 900}}}
    )

    assert Candidates.of(space).history_needed == 901


def test_the_packaged_space_can_be_tried() -> None:
    space = load_space()

    assert len(space.grid()) == 54
    assert Candidates.of(space).config(space.grid()[-1]).weight_average == 0.98


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"parameters": {"seed": [1, 2]}}, "parameters: seed is nothing to search"),
        ({"parameters": {"horizons": [[1, 30]]}}, "horizons is nothing to search"),
        ({"parameters": {"lookback": {"low": 60, "high": 20}}}, "low must be below high"),
        ({"parameters": {"lookback": {"low": 20, "high": 65, "step": 20}}}, "whole steps"),
        ({"parameters": {"dropout": {"low": 0.0, "high": 0.5, "log": True}}}, "log wants a low above 0"),
        ({"parameters": {"lookback": []}}, "parameters.lookback"),
        ({"parameters": {"seq_length": [40], "lookback": [60]}}, "two spellings"),
        ({"strategies": ["magic"]}, "no strategy is called magic"),
        ({"strategies": []}, "strategies: Tuple should have at least 1 item"),
        ({"folds": 3}, "folds: Extra inputs are not permitted"),
        ([], "search space: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_space_is_refused_in_one_line(told: Any, refusal: str) -> None:
    with pytest.raises(ConfigurationError, match=refusal) as refused:
        parse_space(told)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"base": "demo", "parameters": {"hidden_size": [0]}}, r"hidden_size=0\): layers.0.units"),
        ({"base": "demo", "parameters": {"num_layers": [1, 2], "layers": [["LSTM", "LSTM"]]}}, "num_layers changes"),
        ({"base": "no/such.yaml"}, "no/such.yaml"),
        ({"base": "demo", "parameters": {"columns": [["log_retrun"]]}}, "log_return"),
    ],
)
def test_values_that_cannot_be_tried_or_change_nothing_are_refused_before_any_trial(told: Any, refusal: str) -> None:
    with pytest.raises(ConfigurationError, match=refusal):
        Candidates.of(parse_space(told))


def test_a_range_without_steps_is_nothing_for_a_grid() -> None:
    space = parse_space({"parameters": {"learning_rate": {"low": 0.1, "high": 0.2}}})

    with pytest.raises(ConfigurationError, match="a grid wants a step, points, or a list"):
        space.grid()


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("parameters: [")

    with pytest.raises(ConfigurationError, match=r"space\.yaml: while parsing"):
        load_space(tmp_path / "space.yaml")


def test_every_strategy_makes_a_configuration_of_its_own() -> None:
    space = every_strategy("default")
    candidates = Candidates.of(space)

    configs = [candidates.config(choice) for choice in space.grid()]

    assert [choice["strategy"] for choice in space.grid()] == list(STRATEGIES)
    assert len(set(configs)) == len(STRATEGIES)
    assert all(isinstance(config, TrainingConfig) for config in configs)
