"""The same run twice gives the same weights."""

import os


def make_deterministic(seed: int) -> None:
    """Seed every generator and, on TensorFlow, refuse operations whose result depends on the order of threads.

    To be called before anything imports Keras: TensorFlow reads what concerns oneDNN once, when it is imported.
    """
    turn_onednn_off()
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def turn_onednn_off() -> None:
    """It rounds otherwise, by the processor it finds; it is no faster here, and remarks on itself at any log level."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
