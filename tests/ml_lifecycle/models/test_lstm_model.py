"""Networks from configurations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_lifecycle.models.layers import ALLOWED_KERAS_CLASSES
from ml_lifecycle.models.lstm_model import build_network, cumulative_kernel
from ml_lifecycle.models.weights import network_sha256
from ml_lifecycle.training.config import TrainingConfig
from tests.ml_lifecycle.conftest import tiny_config

UNCONDITIONAL = np.sort(np.random.default_rng(0).normal(size=(8, 9)), axis=1)


def inputs(config: TrainingConfig, n: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "window": rng.normal(size=(n, config.lookback, len(config.columns))).astype(np.float32),
        "context": rng.normal(size=(n, len(config.context_columns))).astype(np.float32),
    }


def disturb(network: Any, seed: int = 0) -> None:
    """Give every trained weight another value, as training would, only wilder."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_weights:
        weight.assign(weight.numpy() + rng.normal(0.0, 2.0, weight.shape))


def test_an_untrained_network_gives_the_unconditional_quantiles_whatever_it_sees() -> None:
    config = tiny_config()

    answer = build_network(config, UNCONDITIONAL).served.predict_on_batch(inputs(config))

    assert answer.shape == (5, 8, 9)
    np.testing.assert_allclose(answer, np.tile(UNCONDITIONAL, (5, 1, 1)), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_never_cross_whatever_the_weights(seed: int) -> None:
    config = tiny_config()
    networks = build_network(config, UNCONDITIONAL)
    disturb(networks.served, seed)

    answer = networks.served.predict_on_batch(inputs(config, n=200, seed=seed))

    # A step of 0 may come out as one unit in the last place: serving sorts, see the order of contracts.
    assert np.diff(answer, axis=-1).min() >= -1e-6 * np.abs(answer).max()
    assert np.ptp(answer[:, 0, 4]) > 0.1


def test_the_served_network_is_the_mean_of_its_members_which_differ() -> None:
    config = tiny_config(members=3)
    networks = build_network(config, UNCONDITIONAL)
    disturb(networks.served)
    some = inputs(config)

    members = networks.trained.predict_on_batch(some)

    np.testing.assert_allclose(networks.served.predict_on_batch(some), np.mean(members, axis=0), atol=1e-5)
    assert np.abs(members[0] - members[1]).max() > 0.1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    digests = [network_sha256(build_network(tiny_config(seed=seed), UNCONDITIONAL).served) for seed in (1, 1, 2)]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "layers",
    [
        ["LSTM", "LSTM", "Linear"],
        ["LSTM", "Flatten", "Dense", "Tanh"],
        ["Dense", "ReLU", "LSTM", "Dropout", "Sigmoid"],
        ["Dropout", "Dense", "ReLU"],
    ],
)
def test_every_order_of_layers_loads_in_safe_mode_and_answers_the_same(tmp_path: Path, layers: list[str]) -> None:
    import keras

    config = tiny_config(layers=layers, hidden_size=3, members=1)
    network = build_network(config).served
    disturb(network)
    network.save(tmp_path / "network.keras")

    loaded = keras.models.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)

    some = inputs(config)
    np.testing.assert_array_equal(loaded.predict_on_batch(some), network.predict_on_batch(some))
    assert network_sha256(loaded) == network_sha256(network)
    assert {type(layer).__name__ for layer in loaded.layers} <= ALLOWED_KERAS_CLASSES


def test_the_context_reaches_the_quantiles() -> None:
    config = tiny_config()
    networks = build_network(config, UNCONDITIONAL)
    disturb(networks.served)
    some = inputs(config)

    other = {**some, "context": some["context"] + 1.0}

    assert (networks.served.predict_on_batch(other) != networks.served.predict_on_batch(some)).any()


def test_steps_are_added_above_the_median_and_taken_away_below() -> None:
    """Two horizons, medians 10 and 20; steps 1, 2 and 3, 4."""
    parts = np.array([10.0, 20.0, 1.0, 2.0, 3.0, 4.0])

    assert (parts @ cumulative_kernel((2, 3), middle=1)).tolist() == [9.0, 10.0, 12.0, 17.0, 20.0, 24.0]
