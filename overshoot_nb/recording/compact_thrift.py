"""Thrift's compact protocol, in which Parquet writes its footers: bytes to values and back.

It knows nothing of Parquet. Whatever is in a struct is kept, also what nobody knows yet: what was
read is written again byte for byte (where it was written in the shortest form, as all writers do).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# The codes of types.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
_INTEGERS = (I16, I32, I64)
_UUID_BYTES = 16


class Value(NamedTuple):
    """A field of a struct: its type's code, and a bool, int, float, bytes or one of those below.

    Of a field that is true or false the code is TRUE or FALSE, and so is the value.
    """

    type: int
    value: Any


class Listed(NamedTuple):
    """A list or set. An item that is a struct may be given as bytes, already encoded."""

    type: int
    items: list[Any]


class Mapped(NamedTuple):
    """A map; the types are 0 where it is empty."""

    key_type: int
    value_type: int
    items: list[tuple[Any, Any]]


@dataclass(slots=True)
class Struct:
    """Fields by their number, in the order in which they are written."""

    fields: dict[int, Value] = field(default_factory=dict)

    def get(self, number: int) -> Any:
        """The value of a field, None where it is not there."""
        found = self.fields.get(number)
        return None if found is None else found.value

    def put(self, number: int, type_: int, value: Any) -> None:
        """Set a field; a new one stands behind the others."""
        self.fields[number] = Value(type_, value)


# ---- reading -----------------------------------------------------------------------------------


def decode(data: bytes | memoryview, start: int = 0) -> tuple[Struct, int]:
    """The struct that begins at ``start``, and where it ends.

    Raises:
        ValueError: the bytes are no struct.
    """
    reader = _Reader(data, start)
    try:
        return reader.struct(), reader.at
    except (IndexError, struct.error, RecursionError) as error:
        raise ValueError(f"no Thrift struct at byte {start}: it ends early") from error


class _Reader:
    def __init__(self, data: bytes | memoryview, at: int) -> None:
        self._data, self.at = data, at

    def struct(self) -> Struct:
        fields: dict[int, Value] = {}
        number = 0
        while head := self._byte():
            step, type_ = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            bare = type_ in (TRUE, FALSE)
            fields[number] = Value(type_, type_ == TRUE if bare else self._value(type_))
        return Struct(fields)

    def _value(self, type_: int) -> Any:
        if type_ in _INTEGERS:
            return self._zigzag()
        if type_ == BINARY:
            return self._bytes(self._varint())
        if type_ == STRUCT:
            return self.struct()
        if type_ in (LIST, SET):
            head = self._byte()
            of, size = head & 15, head >> 4
            size = self._varint() if size == 15 else size
            return Listed(of, [self._item(of) for _ in range(size)])
        if type_ == MAP:
            size = self._varint()
            types = self._byte() if size else 0
            k, v = types >> 4, types & 15
            return Mapped(k, v, [(self._item(k), self._item(v)) for _ in range(size)])
        if type_ == DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if type_ == BYTE:
            return self._byte()
        if type_ == UUID:
            return self._bytes(_UUID_BYTES)
        raise ValueError(f"no Thrift type {type_}, at byte {self.at}")

    def _item(self, type_: int) -> Any:
        return self._byte() == TRUE if type_ in (TRUE, FALSE) else self._value(type_)

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise IndexError(end)
        found = bytes(self._data[self.at : end])
        self.at = end
        return found

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def _zigzag(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)


# ---- writing -----------------------------------------------------------------------------------


def encode(value: Struct) -> bytes:
    """The bytes of a struct."""
    return b"".join(_struct(value))


def _struct(value: Struct) -> Iterator[bytes]:
    last = 0
    for number, (type_, content) in value.fields.items():
        step = number - last
        if 1 <= step <= 15:
            yield bytes((step << 4 | type_,))
        else:
            yield bytes((type_,)) + _zigzag(number)
        last = number
        if type_ not in (TRUE, FALSE):
            yield from _value(type_, content)
    yield b"\0"


def _value(type_: int, value: Any) -> Iterable[bytes]:
    if type_ in _INTEGERS:
        return (_zigzag(value),)
    if type_ == BINARY:
        return (_varint(len(value)), value)
    if type_ == STRUCT:
        return (value,) if isinstance(value, bytes) else _struct(value)
    if type_ in (LIST, SET):
        return _listed(value)
    if type_ == MAP:
        return _mapped(value)
    if type_ == DOUBLE:
        return (struct.pack("<d", value),)
    if type_ == BYTE:
        return (bytes((value,)),)
    if type_ == UUID:
        return (value,)
    raise ValueError(f"no Thrift type {type_}")


def _listed(value: Listed) -> Iterator[bytes]:
    size = len(value.items)
    if size < 15:
        yield bytes((size << 4 | value.type,))
    else:
        yield bytes((0xF0 | value.type,)) + _varint(size)
    for item in value.items:
        yield from _item(value.type, item)


def _mapped(value: Mapped) -> Iterator[bytes]:
    yield _varint(len(value.items))
    if value.items:
        yield bytes((value.key_type << 4 | value.value_type,))
    for key, item in value.items:
        yield from _item(value.key_type, key)
        yield from _item(value.value_type, item)


def _item(type_: int, value: Any) -> Iterable[bytes]:
    if type_ in (TRUE, FALSE):
        return (bytes((TRUE if value else FALSE,)),)
    return _value(type_, value)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)
