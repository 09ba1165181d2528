"""One network, one spelling: what tf2onnx names or orders by chance does not reach the digest."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ml_lifecycle.export.onnx_canonical import canonical_onnx
from ml_lifecycle.export.onnx_graph import operators, require_plain_graph
from tests.ml_lifecycle.export.handmade import make_onnx


def disordered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph under other names, its independent nodes and constants in another order, one constant doubled."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        node.name = f"other_{node.op_type}"
        node.doc_string = "made elsewhere"
        node.input[:] = [name if name in ("window", "context", "") else f"x_{name}" for name in node.input]
        node.output[:] = [name if name in ("quantiles", "") else f"x_{name}" for name in node.output]
    for tensor in other.graph.initializer:
        tensor.name = f"x_{tensor.name}"
    constants = list(other.graph.initializer)[::-1]
    doubled = onnx.TensorProto()
    doubled.CopyFrom(next(tensor for tensor in constants if tensor.name == "x_first_axis"))
    doubled.name = "x_same_axis"
    next(node for node in other.graph.node if node.op_type == "Squeeze").input[1] = "x_same_axis"
    other.graph.ClearField("initializer")
    other.graph.initializer.extend([doubled, *constants])
    other.graph.input.sort(key=lambda value: value.name)
    other.producer_name = "by chance"
    return other


def test_names_and_order_do_not_matter() -> None:
    """Byte for byte the same."""
    assert canonical_onnx(disordered(make_onnx())) == canonical_onnx(make_onnx())


def test_a_changed_weight_does_matter() -> None:
    """Another network has another digest."""
    other = make_onnx()
    weight = other.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 2, weight.name))

    assert canonical_onnx(other) != canonical_onnx(make_onnx())


def test_the_canonical_graph_answers_as_the_original() -> None:
    """Bit for bit, on a batch of any size, under the names that bundles use."""
    random = np.random.default_rng(1)
    inputs = {
        "window": random.normal(size=(17, 5, 2)).astype(np.float32),
        "context": random.normal(size=(17, 1)).astype(np.float32),
    }
    canonical = canonical_onnx(make_onnx())

    (before,) = onnxruntime.InferenceSession(make_onnx().SerializeToString()).run(None, inputs)
    (after,) = onnxruntime.InferenceSession(canonical).run(["quantiles"], inputs)

    np.testing.assert_array_equal(before, after)
    require_plain_graph(canonical, name="canonical")
    assert operators(canonical).count("LSTM") == 1


def graph_of(*nodes: onnx.NodeProto, constants: tuple[str, ...] = ()) -> onnx.ModelProto:
    """A model of one input from these nodes; every constant is 2.0."""
    shape = ["batch", 3]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(2.0, np.float32), name) for name in constants],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])


def test_equal_nodes_become_one() -> None:
    """tf2onnx merges them sometimes; here they always are, both being in use."""
    tanh, again = helper.make_node("Tanh", ["window"], ["t"]), helper.make_node("Tanh", ["window"], ["again"])

    merged = graph_of(tanh, helper.make_node("Add", ["t", "t"], ["sum"]))
    apart = graph_of(tanh, again, helper.make_node("Add", ["t", "again"], ["sum"]))

    assert canonical_onnx(apart) == canonical_onnx(merged)


def test_equal_constants_become_one() -> None:
    """Whatever they are called, both being in use."""
    merged = graph_of(
        helper.make_node("Mul", ["window", "c"], ["m"]), helper.make_node("Add", ["m", "c"], ["sum"]), constants=("c",)
    )
    apart = graph_of(
        helper.make_node("Mul", ["window", "c"], ["m"]),
        helper.make_node("Add", ["m", "d"], ["sum"]),
        constants=("c", "d"),
    )

    assert canonical_onnx(apart) == canonical_onnx(merged)
