"""The digest that says whether two networks hold the same weights."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def weights_sha256(weights: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """SHA-256 over path, dtype, shape and bytes of each weight, in the order of their paths.

    A `.keras` file cannot be compared itself: it holds the time it was written.
    """
    digest = hashlib.sha256()
    for path, values in sorted(weights, key=lambda weight: weight[0]):
        array = np.ascontiguousarray(values)
        digest.update(f"{path}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def network_sha256(network: Any) -> str:
    """``weights_sha256`` of a Keras model; random seeds and the state of metrics are not weights."""
    return weights_sha256((weight.path, weight.numpy()) for weight in network.weights)
