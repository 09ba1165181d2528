"""What the weights file inside a ``.keras`` archive may hold: plain float arrays, stored in the file itself.

HDF5 can point at other files (external and soft links, external and virtual storage) and claim arrays far larger than
the file; Keras follows all of that when it loads.
"""

import io

import h5py  # type: ignore[import-untyped]  # ships no types
import numpy as np

from ml_lifecycle.export.errors import BundleRefusedError

_MAX_OBJECTS = 10_000
_MAX_DEPTH = 16
_KINDS = {np.dtype("float32"), np.dtype("uint32"), np.dtype("int32")}  # weights; the state of seed generators


def require_plain_weights(content: bytes) -> None:
    """Look at every link and array of the file.

    Raises
    ------
    BundleRefusedError : names what does not belong.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _walk(file, len(content))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # h5py's own for damaged files
        raise BundleRefusedError(f"model.weights.h5 is damaged: {error}") from error


def _walk(file: h5py.File, limit: int) -> None:
    waiting, seen, claimed = [(file, 0)], 0, 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            seen += 1
            child = _plain_child(group, name)
            if isinstance(child, h5py.Group):
                waiting.append((child, depth + 1))
            else:
                claimed += _dataset_bytes(child)
            if seen > _MAX_OBJECTS or claimed > limit or depth > _MAX_DEPTH:  # a circle of groups has no end
                raise BundleRefusedError("model.weights.h5 claims to hold more than the file can")


def _plain_child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise BundleRefusedError(f"model.weights.h5 holds a link at {group.name}/{name}")
    child = group[name]
    if not isinstance(child, h5py.Group | h5py.Dataset):
        raise BundleRefusedError(f"model.weights.h5 holds a named type at {group.name}/{name}")
    return child


def _dataset_bytes(dataset: h5py.Dataset) -> int:
    if dataset.external or dataset.is_virtual:
        raise BundleRefusedError(f"model.weights.h5 keeps {dataset.name} in another file")
    if dataset.dtype not in _KINDS:
        raise BundleRefusedError(f"model.weights.h5 holds {dataset.dtype} at {dataset.name}")
    return int(dataset.nbytes)
