"""Boosted trees as an ONNX graph of plain tensor operators: serving needs neither LightGBM nor a tree operator.

A tree operator follows node numbers that a file gives it, and whether a hostile file leads it out of its arrays is up
to ONNX Runtime. Here all trees walk side by side, a few ``Gather`` a step, which check their bounds: from its node each
tree goes to the left or the right one, a leaf stays where it is, and after as many steps as trees are deep the values
are added up.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.export.onnx_canonical import canonical_onnx
from ml_lifecycle.models.scale_trees import DEPTH, ScaleTrees

OPSET, IR_VERSION = 18, 8
Nodes = list[onnx.NodeProto]


def scale_trees_graph(learnt: ScaleTrees, *, lookback: int, n_columns: int, n_context: int) -> bytes:
    """Inputs ``window (batch, lookback, n_columns)``, which is not read, and ``context (batch, n_context)``, scaled.

    The output is ``quantiles (batch, n_horizons, n_levels)`` in scaled units; the same trees give the same bytes.
    """
    trees = [tree for group in learnt.trees for tree in group]
    first = np.cumsum([0, *(len(tree.value) for tree in trees)])[:-1]
    constants: dict[str, NDArray[Any]] = {
        "column": _joined(tree.column for tree in trees).astype(np.int64),
        "threshold": _joined(tree.threshold for tree in trees).astype(np.float32),
        "left": _joined(np.array(tree.left) + start for tree, start in zip(trees, first, strict=True)).astype(np.int64),
        "right": _joined(np.array(tree.right) + start for tree, start in zip(trees, first, strict=True)).astype(
            np.int64
        ),
        "value": _joined(tree.value for tree in trees).astype(np.float32),
        "roots": first[None].astype(np.int64),
        "horizons": _horizons_of(learnt).astype(np.float32),
        "nothing": np.zeros((n_context, 1), np.float32),
        "by_horizon": np.array([0, len(learnt.group), 1]),
        "unconditional": learnt.quantiles.astype(np.float32),
    }
    nodes = [
        # Zeros of the batch's size: every tree of every window begins at its root.
        helper.make_node("MatMul", ["context", "nothing"], ["zero"]),
        helper.make_node("Cast", ["zero"], ["zero_node"], to=TensorProto.INT64),
        helper.make_node("Add", ["zero_node", "roots"], ["node_0"]),
        *(node for step in range(DEPTH) for node in _step(step)),
        helper.make_node("Gather", ["value", f"node_{DEPTH}"], ["values"]),
        helper.make_node("MatMul", ["values", "horizons"], ["log_scale"]),
        helper.make_node("Exp", ["log_scale"], ["scale"]),
        helper.make_node("Reshape", ["scale", "by_horizon"], ["scale_by_horizon"]),
        helper.make_node("Mul", ["scale_by_horizon", "unconditional"], ["quantiles"]),
    ]
    inputs = [
        helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", lookback, n_columns]),
        helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", n_context]),
    ]
    output = helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["batch", *learnt.quantiles.shape])
    initializers = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "scale_trees", inputs, [output], initializers)
    opsets = [helper.make_opsetid("", OPSET)]
    return canonical_onnx(helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets))


def _step(step: int) -> Nodes:
    """From each tree's node to the next one below."""
    here, after = f"node_{step}", f"node_{step + 1}"
    return [
        helper.make_node("Gather", ["column", here], [f"asks_{step}"]),
        helper.make_node("GatherElements", ["context", f"asks_{step}"], [f"seen_{step}"], axis=1),
        helper.make_node("Gather", ["threshold", here], [f"at_most_{step}"]),
        helper.make_node("LessOrEqual", [f"seen_{step}", f"at_most_{step}"], [f"goes_left_{step}"]),
        helper.make_node("Gather", ["left", here], [f"left_{step}"]),
        helper.make_node("Gather", ["right", here], [f"right_{step}"]),
        helper.make_node("Where", [f"goes_left_{step}", f"left_{step}", f"right_{step}"], [after]),
    ]


def _horizons_of(learnt: ScaleTrees) -> FloatArray:
    """1 where a tree belongs to a horizon, shape ``(n_trees, n_horizons)``."""
    group_of_tree = np.repeat(np.arange(len(learnt.trees)), [len(group) for group in learnt.trees])
    belongs: FloatArray = np.equal.outer(group_of_tree, learnt.group).astype(np.float64)
    return belongs


def _joined(parts: Iterable[Sequence[float] | NDArray[np.int64]]) -> FloatArray:
    joined: FloatArray = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
    return joined
