"""Networks on ONNX Runtime: the default engine, without TensorFlow."""

from collections.abc import Mapping
from functools import reduce
from typing import Any, Self

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.export.errors import BundleRefusedError, InferenceError
from ml_lifecycle.export.manifest import Manifest
from ml_lifecycle.export.onnx_graph import require_plain_graph

_RUNTIME_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


class OnnxEngine:
    """A weighted average of ONNX graphs, on one thread: an API process runs many forecasts side by side instead."""

    def __init__(self, graphs: Mapping[str, bytes], manifest: Manifest) -> None:
        """Check and open every graph.

        Raises
        ------
        BundleRefusedError : a graph is not one that a bundle may hold, or has other inputs and outputs.
        """
        self._graphs, self._weights, self._interface = graphs, manifest.member_weights, manifest.network_interface()
        self._open()

    def _open(self) -> None:
        self._sessions = {
            name: open_graph(graph, name, self._interface) for name, graph in sorted(self._graphs.items())
        }

    def __getstate__(self) -> dict[str, Any]:
        """An engine travels to another process as its graphs: a session cannot."""
        return {name: value for name, value in vars(self).items() if name != "_sessions"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def without(self, name: str) -> Self:
        """The same average with one member left out; the other weights stay as they are."""
        rest = object.__new__(type(self))
        vars(rest).update(vars(self))
        rest._graphs = {member: graph for member, graph in self._graphs.items() if member != name}
        rest._sessions = {member: session for member, session in self._sessions.items() if member != name}
        return rest

    def quantiles(self, window: Float32Array, context: Float32Array) -> FloatArray:
        """As ``Engine.quantiles``."""
        inputs = {"window": window, "context": context}
        parts = [self._weights[name] * run_graph(session, inputs) for name, session in self._sessions.items()]
        # A sum over a new axis takes 6 µs of one window's 60. None are here beside a Keras network that is alone.
        average: FloatArray = reduce(np.add, parts) if parts else np.zeros(())
        return average


def open_graph(graph: bytes, name: str, interface: Mapping[str, tuple[int, ...]]) -> onnxruntime.InferenceSession:
    """A graph ready to be run on one thread.

    Parameters
    ----------
    interface : shape of each input and output without its batch axis, as ``Manifest.network_interface`` tells it.

    Raises
    ------
    BundleRefusedError : it is not one that a bundle may hold, or has other inputs and outputs.
    """
    require_plain_graph(graph, name=name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what goes wrong is raised; ONNX Runtime would print it too
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        raise BundleRefusedError(f"{name} is no graph that ONNX Runtime runs: {error}") from error
    _require_interface(session, name, interface)
    return session


def _require_interface(session: onnxruntime.InferenceSession, name: str, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Named inputs and one output, of the shapes that the manifest tells, over any number of windows."""
    held = [*session.get_inputs(), *session.get_outputs()]
    found = {value.name: tuple(value.shape[1:]) for value in held}
    if found != wanted:
        raise BundleRefusedError(f"{name} has inputs and outputs {found}, not {dict(wanted)}")
    if any(isinstance(value.shape[0], int) or value.type != "tensor(float)" for value in held):
        raise BundleRefusedError(f"{name} takes a fixed number of windows, or other numbers than float32")


def run_graph(session: onnxruntime.InferenceSession, inputs: Mapping[str, Float32Array]) -> FloatArray:
    """Quantiles in scaled units, shape ``(n, n_horizons, n_levels)``.

    Raises
    ------
    InferenceError : ONNX Runtime could not.
    """
    try:
        (output,) = session.run(["quantiles"], dict(inputs))
    except _RUNTIME_ERRORS as error:
        raise InferenceError(f"the network could not be run: {error}") from error
    return np.asarray(output, dtype=np.float64)
