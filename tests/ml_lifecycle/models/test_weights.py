"""The digest of weights."""

import numpy as np
import pytest

from ml_lifecycle.models.weights import weights_sha256

WEIGHTS = [("a/kernel", np.array([[1.0, 2.0]], dtype=np.float32)), ("a/bias", np.array([3.0], dtype=np.float32))]


def test_the_order_in_which_weights_are_listed_does_not_matter() -> None:
    assert weights_sha256(WEIGHTS) == weights_sha256(WEIGHTS[::-1])


@pytest.mark.parametrize(
    "kernel",
    [
        ("b/kernel", WEIGHTS[0][1]),
        ("a/kernel", WEIGHTS[0][1].view(np.int32)),
        ("a/kernel", WEIGHTS[0][1].T),
        ("a/kernel", np.nextafter(WEIGHTS[0][1], np.float32(9.0))),
    ],
    ids=["path", "dtype", "shape", "last bit"],
)
def test_path_dtype_shape_and_every_bit_count(kernel: tuple[str, np.ndarray]) -> None:
    assert weights_sha256([kernel, WEIGHTS[1]]) != weights_sha256(WEIGHTS)


def test_memory_layout_does_not_count() -> None:
    twice = np.repeat(WEIGHTS[0][1], 2, axis=1)[:, ::2]

    assert weights_sha256([("a/kernel", twice), WEIGHTS[1]]) == weights_sha256(WEIGHTS)
