"""How much a small ONNX graph may grow when it runs: a few bytes that ask for a tensor of gigabytes are refused.

``Expand`` makes a tensor as big as a number in the file says, and ``Concat`` doubles what is given to it twice. Both
are bounded here, from the bytes alone. Not bounded is what broadcasting, ``MatMul`` or ``Gather`` make of constants
that the file itself holds: for gigabytes those must be large, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ml_lifecycle.export.errors import BundleRefusedError

MOST_ELEMENTS = 2**22  # of one window's tensor, 16 MiB of float32; an LSTM of 32 cells expands to 32
WINDOW_ELEMENTS = 2**10  # what a shape taken from the inputs counts, their batch aside
_INTEGERS = {6: "<i4", 7: "<i8"}  # TensorProto.DataType INT32 and INT64
_PASSED_ON = {"Cast", "Identity", "Slice", "Squeeze", "Unsqueeze"}  # nothing is calculated: at most the same numbers


@dataclass(frozen=True)
class PlainNode:
    """One node: ``constant`` is the product of a ``Constant``'s integers, None where it holds no plain ones."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constant: int | None = None


@dataclass
class _Known:
    """By the name of a tensor: ``product`` of its numbers, where they can be a shape, and how it has grown."""

    product: dict[str, int]
    growth: dict[str, int] = field(default_factory=dict)


def require_bounded_growth(nodes: Iterable[PlainNode], shapes: Mapping[str, int], *, name: str) -> None:
    """Follow every node in file order.

    Parameters
    ----------
    shapes : product of the numbers of each initializer that holds plain integers.

    Raises
    ------
    BundleRefusedError : a tensor beyond ``MOST_ELEMENTS``, or an ``Expand`` to a shape that is calculated otherwise
        than from constants and shapes.
    """
    known = _Known(dict(shapes))
    for node in nodes:
        product, growth = _product(node, known), _growth(node, known)
        if growth is None or growth > MOST_ELEMENTS:
            size = "a shape that cannot be told beforehand" if growth is None else f"over {MOST_ELEMENTS:,} elements"
            raise BundleRefusedError(f"{name}: {node.operator} makes a tensor of {size}")
        for output in node.outputs:
            known.growth[output] = growth
            known.product.pop(output, None)
            if product is not None:
                known.product[output] = product


def integers_product(data_type: int, raw: bytes) -> int | None:
    """Of the numbers of a tensor, each at least 1; None where they are no integers that lie there plainly."""
    if data_type not in _INTEGERS or len(raw) % np.dtype(_INTEGERS[data_type]).itemsize:
        return None
    return _capped(max(abs(number), 1) for number in np.frombuffer(raw, _INTEGERS[data_type]).tolist())


def _product(node: PlainNode, known: _Known) -> int | None:
    if node.operator == "Constant":
        return node.constant
    if node.operator == "Shape":
        return _capped([WINDOW_ELEMENTS, *(known.growth.get(name, 1) for name in node.inputs)])
    if node.operator in _PASSED_ON:
        return known.product.get(node.inputs[0]) if node.inputs else None
    if node.operator == "Concat":
        parts = [known.product.get(name) for name in node.inputs]
        return None if None in parts else _capped(part for part in parts if part is not None)
    return None


def _growth(node: PlainNode, known: _Known) -> int | None:
    """How many times bigger than what it was made from; None where that cannot be told."""
    grown: Sequence[int] = [known.growth.get(name, 1) for name in node.inputs] or [1]
    if node.operator == "Expand":
        wanted = known.product.get(node.inputs[1]) if len(node.inputs) > 1 else None
        return None if wanted is None else max(*grown, wanted)
    if node.operator == "Concat":
        return sum(grown)
    return 1 if node.operator in ("LSTM", "Shape") else max(grown)  # of an LSTM its weights tell the size


def _capped(numbers: Iterable[int]) -> int:
    product = 1
    for number in numbers:
        product = min(product * number, MOST_ELEMENTS + 1)
    return product
