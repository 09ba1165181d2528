"""Which objects the configuration in a ``.keras`` file may name: Keras builds every one of them when it loads."""

from collections.abc import Iterator
from typing import Any

from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.models.layers import ALLOWED_ACTIVATIONS, ALLOWED_KERAS_CLASSES

_LAYER_MODULES = frozenset({"keras.layers", "keras.src.models.functional"})
_INITIALIZERS = frozenset({"Constant", "GlorotUniform", "HeNormal", "HeUniform", "Ones", "Orthogonal", "Zeros"})
_HELPERS = {("keras", "DTypePolicy"), *(("keras.initializers", name) for name in _INITIALIZERS)}
_MAX_WIDTH = 4_096  # Keras allocates a layer before it looks whether the weights are there
_TENSOR = "__keras_tensor__"  # how a call says which layer's output it takes; names no code


def require_allowed_layers(config: dict[str, Any]) -> None:
    """Look at every object of the configuration, however deep.

    Raises
    ------
    BundleRefusedError : names the first object that is not on the list.
    """
    if config.get("class_name") != "Functional":
        raise BundleRefusedError("network.keras is not one functional graph")
    for node in _every_mapping(config):
        if {"class_name", "module", "registered_name"} & node.keys():
            _require_allowed_object(node)
        for key in ("activation", "recurrent_activation"):
            if key in node and str(node[key]) not in ALLOWED_ACTIVATIONS:
                raise BundleRefusedError(f"network.keras uses the activation {str(node[key])[:80]!r}")
        for key in ("units", "batch_shape"):
            if key in node and not _is_modest(node[key]):
                raise BundleRefusedError(f"network.keras has a layer with {key} {str(node[key])[:80]}")


def count_layers(config: dict[str, Any], class_name: str) -> int:
    """Layers of one class in the configuration."""
    return sum(node.get("class_name") == class_name for node in _every_mapping(config))


def _require_allowed_object(node: dict[str, Any]) -> None:
    module, name, registered = node.get("module"), node.get("class_name"), node.get("registered_name")
    if not all(isinstance(word, str | None) for word in (module, name, registered)):
        raise BundleRefusedError("network.keras names an object by something else than text")
    if name == _TENSOR and module is None and registered is None:
        return
    is_layer = module in _LAYER_MODULES and name in ALLOWED_KERAS_CLASSES
    if not (is_layer or (module, name) in _HELPERS) or registered not in (None, name):
        raise BundleRefusedError(
            f"network.keras holds {str(name)[:80]!r} of {str(module)[:80]!r}, which is not allowed"
        )


def _is_modest(size: Any) -> bool:
    """A width, or a shape whose first axis may be open."""
    if isinstance(size, list):
        return all(axis is None or (isinstance(axis, int) and _is_modest(axis)) for axis in size)
    return isinstance(size, int) and 0 <= size <= _MAX_WIDTH


def _every_mapping(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of the parsed JSON; with a list of its own, so that no nesting exhausts the stack."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
