"""The same run twice gives the same weights."""

import keras


def make_deterministic(seed: int) -> None:
    """Seed every generator and, on TensorFlow, refuse operations whose result depends on the order of threads."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
