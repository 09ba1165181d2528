"""Keras to ONNX, in a process of its own: ``python -m ml_lifecycle.export.onnx_conversion FOLDER``.

A process of its own because the conversion needs TensorFlow whatever back end trained the network, patches NumPy for
tf2onnx, and leaves hundreds of MiB behind.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.export.errors import ExportError
from ml_lifecycle.export.folder import NETWORK_KERAS, NETWORK_ONNX

_INPUTS, _OUTPUTS, _DIGEST = "inputs.npz", "outputs.npy", "weights.sha256"
_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True)
class ConvertedNetwork:
    """The ONNX graph, what Keras itself answers to the inputs that were given, and the digest of its weights."""

    graph: bytes
    keras_quantiles: FloatArray
    weights_sha256: str


def convert_to_onnx(archive: bytes, inputs: Mapping[str, Float32Array]) -> ConvertedNetwork:
    """Convert a ``.keras`` archive and let Keras answer ``inputs``, both in a child process.

    Raises
    ------
    ExportError : the child failed or took too long; the message is its last line.
    """
    with tempfile.TemporaryDirectory(prefix="closecast-") as name:
        folder = Path(name)
        (folder / NETWORK_KERAS).write_bytes(archive)
        np.savez(folder / _INPUTS, allow_pickle=False, **inputs)
        _run_child(folder)
        return ConvertedNetwork(
            graph=(folder / NETWORK_ONNX).read_bytes(),
            keras_quantiles=np.load(folder / _OUTPUTS, allow_pickle=False).astype(np.float64),
            weights_sha256=(folder / _DIGEST).read_text(),
        )


def _run_child(folder: Path) -> None:
    command = [sys.executable, "-m", "ml_lifecycle.export.onnx_conversion", str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(  # noqa: S603 # our own interpreter and module
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"the conversion to ONNX took over {_TIMEOUT_SECONDS:.0f} s") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ExportError(f"the conversion to ONNX failed: {last[0]}")


def _convert(folder: Path) -> None:
    import keras
    import onnx

    from ml_lifecycle.export.onnx_canonical import canonical_onnx
    from ml_lifecycle.models.weights import network_sha256

    network = keras.saving.load_model(folder / NETWORK_KERAS, compile=False, safe_mode=True)
    with np.load(folder / _INPUTS, allow_pickle=False) as inputs:
        # Called once before the export, which fails on a network that never was.
        quantiles = np.asarray(network({name: inputs[name] for name in inputs.files}))
    np.save(folder / _OUTPUTS, quantiles, allow_pickle=False)
    (folder / _DIGEST).write_text(network_sha256(network))
    raw = folder / "raw.onnx"
    network.export(raw, format="onnx", verbose=False)
    (folder / NETWORK_ONNX).write_bytes(canonical_onnx(onnx.load(raw, load_external_data=False)))


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
