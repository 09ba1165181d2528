"""Where a network computes. No machine of these tests has a GPU: one is made up."""

from types import SimpleNamespace
from typing import Any

import pytest

from ml_lifecycle.models.lstm_model import build_network
from ml_lifecycle.training.device import GpuUnusedError, require_gpu_where_seen
from tests.ml_lifecycle.conftest import plain_config


def network_on(*devices: str) -> Any:
    values = (SimpleNamespace(device=f"/job:localhost/replica:0/task:0/device:{device}") for device in devices)
    return SimpleNamespace(weights=[SimpleNamespace(value=value) for value in values])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that TensorFlow believes to see."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [SimpleNamespace(name=f"{kind}:0")])


def test_without_a_gpu_the_processor_will_do() -> None:
    require_gpu_where_seen(build_network(plain_config()).served)


def test_a_gpu_that_is_seen_and_not_used_ends_the_training(gpu: None) -> None:
    with pytest.raises(GpuUnusedError, match="weights of the network lie on CPU:0"):
        require_gpu_where_seen(build_network(plain_config()).served)


def test_weights_on_the_gpu_are_as_they_should_be(gpu: None) -> None:
    require_gpu_where_seen(network_on("GPU:0", "GPU:0"))
    with pytest.raises(GpuUnusedError, match=r"lie on CPU:0$"):
        require_gpu_where_seen(network_on("GPU:0", "CPU:0"))
