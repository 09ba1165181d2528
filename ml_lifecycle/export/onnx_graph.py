"""What an ONNX file may hold: one flat graph of standard operators with its weights inside.

Fields are allowed by number (``onnx.proto`` of ONNX 1.x): what is not named here is refused, so that functions,
training graphs, subgraphs, sparse or external tensors and anything to come never reach ONNX Runtime.
"""

from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.onnx_growth import PlainNode, integers_product, require_bounded_growth
from ml_lifecycle.export.protobuf_wire import MalformedMessageError, read_fields

ALLOWED_OPERATORS = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Neg", "Exp", "Log", "Sqrt", "Abs", "Max", "Min", "Sum", "Mean"),
        *("MatMul", "Gemm", "LSTM", "Relu", "Tanh", "Sigmoid", "Softplus", "CumSum", "ReduceSum", "ReduceMean"),
        *("Cast", "Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Shape", "Slice"),
        *("Split", "Squeeze", "Transpose", "Unsqueeze", "GatherElements", "LessOrEqual", "Where"),
    }
)
_STANDARD_DOMAINS = {"", "ai.onnx"}
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, _MODEL_GRAPH, _MODEL_OPSET, 14}
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_GRAPH_FIELDS = {_GRAPH_NODE, 2, _GRAPH_INITIALIZER, 10, 11, 12, 13}
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_NODE_FIELDS = {1, 2, 3, _NODE_OPERATOR, _NODE_ATTRIBUTE, 6, _NODE_DOMAIN}
_ATTRIBUTE_TENSOR = 5
_ATTRIBUTE_FIELDS = {1, 2, 3, 4, _ATTRIBUTE_TENSOR, 7, 8, 9, 13, 20}
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 2, 8, 9
_TENSOR_FIELDS = {
    1,
    _TENSOR_TYPE,
    4,
    5,
    7,
    _TENSOR_NAME,
    _TENSOR_RAW,
    12,
}  # neither 13 (external data) nor 14 (where the data lie)


def require_plain_graph(content: bytes, *, name: str) -> None:
    """Look through every node, attribute and tensor.

    Raises
    ------
    BundleRefusedError : names what was found that a bundle's graph never holds.
    """
    try:
        graphs = [_as_message(value) for number, value in _model_fields(content) if number == _MODEL_GRAPH]
        if len(graphs) != 1:
            raise BundleRefusedError(f"{name} holds {len(graphs)} graphs")
        _check_graph(graphs[0])
        require_bounded_growth(*_plain_nodes(graphs[0]), name=name)
    except MalformedMessageError as error:
        raise BundleRefusedError(f"{name} is no ONNX file: {error}") from error


def operators(content: bytes) -> list[str]:
    """Operator of every node, in file order, of a graph that ``require_plain_graph`` let through."""
    graph = next(_as_message(value) for number, value in _model_fields(content) if number == _MODEL_GRAPH)
    nodes = [_as_message(value) for number, value in read_fields(graph) if number == _GRAPH_NODE]
    return [_as_text(value) for node in nodes for number, value in read_fields(node) if number == _NODE_OPERATOR]


def _model_fields(content: bytes) -> list[tuple[int, int | memoryview]]:
    fields = _only(_MODEL_FIELDS, memoryview(content), "model")
    for number, value in fields:
        if number == _MODEL_OPSET:
            _check_opset(_as_message(value))
    return fields


def _check_opset(opset: memoryview) -> None:
    for number, value in read_fields(opset):
        if number == _OPSET_DOMAIN:
            _check_domain(_as_text(value))


def _check_graph(graph: memoryview) -> None:
    for number, value in _only(_GRAPH_FIELDS, graph, "graph"):
        if number == _GRAPH_NODE:
            _check_node(_as_message(value))
        elif number == _GRAPH_INITIALIZER:
            _only(_TENSOR_FIELDS, _as_message(value), "tensor")


def _plain_nodes(graph: memoryview) -> tuple[list[PlainNode], dict[str, int]]:
    """Every node, and the product of each initializer of plain integers by its name."""
    nodes: list[PlainNode] = []
    shapes: dict[str, int] = {}
    for number, value in read_fields(graph):
        if number == _GRAPH_NODE:
            nodes.append(_plain_node(_as_message(value)))
        elif number == _GRAPH_INITIALIZER:
            tensor = _as_message(value)
            name = next((_as_text(text) for field, text in read_fields(tensor) if field == _TENSOR_NAME), "")
            product = _integers(tensor)
            if product is not None:
                shapes[name] = max(product, shapes.get(name, 1))  # of two by one name the bigger: either may be read
    return nodes, shapes


def _plain_node(node: memoryview) -> PlainNode:
    fields = list(read_fields(node))
    inputs, outputs, operator = (
        tuple(_as_text(value) for number, value in fields if number == wanted)
        for wanted in (_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR)
    )
    attributes = [_as_message(value) for number, value in fields if number == _NODE_ATTRIBUTE]
    held = [_as_message(value) for each in attributes for kind, value in read_fields(each) if kind == _ATTRIBUTE_TENSOR]
    constant = _integers(held[0]) if len(held) == 1 else None
    return PlainNode("".join(operator), inputs, outputs, constant)


def _integers(tensor: memoryview) -> int | None:
    fields = dict(read_fields(tensor))
    kind, raw = fields.get(_TENSOR_TYPE), fields.get(_TENSOR_RAW)
    return integers_product(kind, bytes(raw)) if isinstance(kind, int) and isinstance(raw, memoryview) else None


def _check_node(node: memoryview) -> None:
    for number, value in _only(_NODE_FIELDS, node, "node"):
        if number == _NODE_OPERATOR and (operator := _as_text(value)) not in ALLOWED_OPERATORS:
            raise BundleRefusedError(f"the ONNX graph holds the operator {operator!r}")
        if number == _NODE_DOMAIN:
            _check_domain(_as_text(value))
        if number == _NODE_ATTRIBUTE:
            _check_attribute(_as_message(value))


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _only(_ATTRIBUTE_FIELDS, attribute, "attribute"):
        if number == _ATTRIBUTE_TENSOR:
            _only(_TENSOR_FIELDS, _as_message(value), "tensor")


def _check_domain(domain: str) -> None:
    if domain not in _STANDARD_DOMAINS:
        raise BundleRefusedError(f"the ONNX graph asks for the operator domain {domain!r}")


def _only(allowed: set[int], message: memoryview, what: str) -> list[tuple[int, int | memoryview]]:
    fields = list(read_fields(message))
    if unknown := sorted({number for number, _ in fields} - allowed):
        raise BundleRefusedError(f"the ONNX {what} has a field {unknown[0]}, which no bundle holds")
    return fields


def _as_message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise MalformedMessageError("a number where a message is wanted")
    return value


def _as_text(value: int | memoryview) -> str:
    try:
        return bytes(_as_message(value)).decode()
    except UnicodeDecodeError as error:
        raise MalformedMessageError("a name that is no text") from error
