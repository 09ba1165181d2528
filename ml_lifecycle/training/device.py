"""Where a network computes: on a GPU wherever TensorFlow sees one."""

from typing import Any

from data_pipeline.errors import ClosecastError


class GpuUnusedError(ClosecastError):
    """TensorFlow sees a GPU and the network lies elsewhere: mend its placement, or hide it (CUDA_VISIBLE_DEVICES=)."""


def require_gpu_where_seen(network: Any) -> None:
    """Look where the weights lie; Keras puts them, and with them the work, on the first GPU by itself.

    Raises
    ------
    GpuUnusedError : there is a GPU and some weight is not on it.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return
    places = sorted({weight.value.device.rpartition("device:")[2] for weight in network.weights})
    if elsewhere := [place for place in places if not place.startswith("GPU")]:
        raise GpuUnusedError(f"TensorFlow sees a GPU, but weights of the network lie on {', '.join(elsewhere)}")
