"""The wire form of protocol buffers, enough to look into an ONNX file without the ``onnx`` package.

An API process carries ONNX Runtime only, and a graph must be looked at before ONNX Runtime opens it.
"""

from collections.abc import Iterator

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class MalformedMessageError(ValueError):
    """The bytes are no protocol buffer message."""


def read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one message, in file order: an ``int`` for a varint, else the raw bytes.

    >>> [(number, value) for number, value in read_fields(memoryview(b"\\x08\\x96\\x01"))]
    [(1, 150)]

    Raises
    ------
    MalformedMessageError : a length or a varint runs past the end, or a wire type that ONNX does not use.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        length, at = _payload_length(message, at, wire_type)
        if at + length > len(message):
            raise MalformedMessageError("a field runs past the end")
        yield number, message[at : at + length]
        at += length


def _payload_length(message: memoryview, at: int, wire_type: int) -> tuple[int, int]:
    if wire_type == _BYTES:
        return _read_varint(message, at)
    if wire_type in (_FIXED_32, _FIXED_64):
        return (4 if wire_type == _FIXED_32 else 8), at
    raise MalformedMessageError(f"wire type {wire_type}")


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at + place >= len(message):
            raise MalformedMessageError("a number runs past the end")
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise MalformedMessageError("a number has more than ten bytes")
