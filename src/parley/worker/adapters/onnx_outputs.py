"""One more output for an ONNX model, without the package ``onnx``.

A serialised message of protobuf with another one behind it is both of them merged: lists grow, messages inside are
merged in turn. So a model with a second, tiny model behind it has that one's nodes and outputs too, and nothing of a
graph of hundreds of megabytes is taken apart.
"""

from __future__ import annotations

_GRAPH = 7
_NODE, _OUTPUT = 1, 12
_INT64 = 7
_KIND_INT = 2


def with_output(model: bytes, tensor: str, name: str) -> bytes:
    """``model`` with its tensor ``tensor`` given out under ``name``, as int64. The tensor must be there."""
    to_integer = _text(1, "to") + _number(3, _INT64) + _number(20, _KIND_INT)
    node = _text(1, tensor) + _text(2, name) + _text(3, f"parley/{name}") + _text(4, "Cast") + _bytes(5, to_integer)
    graph = _bytes(_NODE, node) + _bytes(_OUTPUT, _text(1, name))
    return model + _bytes(_GRAPH, graph)


def names(model: bytes, tensor: str) -> bool:
    """Whether something in the model is called exactly that: text in a message stands behind its length."""
    return _varint(len(tensor.encode())) + tensor.encode() in model


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)
