"""One spelling for one ONNX graph, so that the same network gives the same bytes, digest and bundle id.

tf2onnx names and orders nodes differently in every process and merges equal ones as it happens to meet them.
"""

from collections.abc import Iterable

import onnx
from onnx import helper

BATCH = "batch"
OUTPUT = "quantiles"


def canonical_onnx(model: onnx.ModelProto) -> bytes:
    """The same graph with nodes in the order in which the output asks for them, named by that order.

    Equal nodes and equal constants become one; inputs are sorted by name; the first axis of inputs and output is
    ``batch``; the output is called ``quantiles``. Documentation and metadata are dropped.
    """
    walk = _Walk(model.graph)
    (output,) = model.graph.output
    last = walk.visit(output.name)
    nodes = [*walk.nodes, helper.make_node("Identity", [last], [OUTPUT])]
    inputs = [_described(value, value.name) for value in sorted(model.graph.input, key=lambda value: value.name)]
    graph = helper.make_graph(nodes, "closecast", inputs, [_described(output, OUTPUT)], walk.constants)
    opsets = [opset for opset in model.opset_import if opset.domain == ""]
    plain = helper.make_model(graph, ir_version=model.ir_version, opset_imports=opsets, producer_name="closecast")
    onnx.checker.check_model(plain, full_check=True)
    content: bytes = plain.SerializeToString(deterministic=True)
    return content


class _Walk:
    """Depth first from the output, each node after what it reads."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._producer = {name: node for node in graph.node for name in node.output}
        self._constant = {tensor.name: tensor for tensor in graph.initializer}
        self._new_name: dict[str, str] = {value.name: value.name for value in graph.input}
        self._known: dict[bytes, list[str]] = {}  # what is equal, by its bytes without a name

    def visit(self, name: str) -> str:
        """New name of a value; its producer and all that it reads are in ``nodes`` afterwards."""
        if name == "":  # an optional input that is left out
            return name
        waiting = [name]
        while waiting:
            wanted = waiting[-1]
            missing = [read for read in self._reads(wanted) if read not in self._new_name]
            if wanted in self._new_name or not missing:
                self._settle(waiting.pop())
            else:
                waiting.append(missing[0])
        return self._new_name[name]

    def _reads(self, name: str) -> Iterable[str]:
        node = self._producer.get(name)
        return [read for read in node.input if read] if node else []

    def _settle(self, name: str) -> None:
        if name in self._new_name:
            return
        if name in self._constant:
            self._new_name[name] = self._settle_constant(self._constant[name])
            return
        node = self._producer[name]
        renamed = self._settle_node(node)
        self._new_name.update(zip(node.output, renamed, strict=True))

    def _settle_constant(self, tensor: onnx.TensorProto) -> str:
        plain = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor))
        key = plain.SerializeToString(deterministic=True)
        if key not in self._known:
            plain.name = f"c{len(self.constants)}"
            self.constants.append(plain)
            self._known[key] = [plain.name]
        return self._known[key][0]

    def _settle_node(self, node: onnx.NodeProto) -> list[str]:
        plain = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
        plain.input.extend(self._new_name[read] if read else "" for read in node.input)
        plain.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
        key = plain.SerializeToString(deterministic=True) + bytes(bool(output) for output in node.output)
        if key not in self._known:
            plain.name = f"n{len(self.nodes)}"
            plain.output.extend(f"{plain.name}_{place}" if output else "" for place, output in enumerate(node.output))
            self.nodes.append(plain)
            self._known[key] = list(plain.output)
        return self._known[key]


def _described(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    tensor = value.type.tensor_type
    shape = [BATCH, *(axis.dim_value for axis in tensor.shape.dim[1:])]
    return helper.make_tensor_value_info(name, tensor.elem_type, shape)
