"""The codec of Parquet's footers: real ones byte for byte, and whatever a later one may bring."""

from __future__ import annotations

import datetime as dt
import io
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.recording.compact_thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    FALSE,
    I16,
    I32,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
    Listed,
    Mapped,
    Struct,
    Value,
    decode,
    encode,
)

LEAVES = {
    BYTE: st.integers(0, 255),
    I16: st.integers(-(2**15), 2**15 - 1),
    I32: st.integers(-(2**31), 2**31 - 1),
    I64: st.integers(-(2**63), 2**63 - 1),
    DOUBLE: st.floats(allow_nan=False),
    BINARY: st.binary(max_size=300),
    UUID: st.binary(min_size=16, max_size=16),
}


@st.composite
def items(draw, depth: int) -> tuple[int, object]:
    """A type and a value of it, for a list; of true and false the type does not say which."""
    kinds = [*LEAVES, TRUE] + ([STRUCT, LIST, SET, MAP] if depth else [])
    kind = draw(st.sampled_from(kinds))
    return kind, value_of(draw, kind, depth)


def value_of(draw, kind: int, depth: int) -> object:
    if kind in LEAVES:
        return draw(LEAVES[kind])
    if kind == TRUE:
        return draw(st.booleans())
    if kind == STRUCT:
        return draw(structs(depth - 1))
    count = draw(st.sampled_from((0, 1, 2, 14, 15, 16)))
    if kind in (LIST, SET):
        of = draw(st.sampled_from([*LEAVES, TRUE, *([STRUCT] if depth > 1 else [])]))
        return Listed(of, [value_of(draw, of, depth - 1) for _ in range(min(count, 16))])
    if not count:
        return Mapped(0, 0, [])
    key, value = (draw(st.sampled_from(list(LEAVES))) for _ in range(2))
    pairs = [(value_of(draw, key, 0), value_of(draw, value, 0)) for _ in range(count)]
    return Mapped(key, value, pairs)


@st.composite
def structs(draw, depth: int = 2) -> Struct:
    numbers = draw(st.lists(st.integers(1, 2**15 - 1), max_size=6, unique=True))
    fields = {}
    for number in numbers:  # in any order: also such steps as have no short form
        kind, value = draw(items(max(depth, 0)))
        if kind == TRUE:
            kind = TRUE if value else FALSE
        fields[number] = Value(kind, value)
    return Struct(fields)


@given(structs(), st.binary(max_size=5), st.binary(max_size=5))
def test_what_was_written_is_read(value, before, behind):
    data = encode(value)
    found, end = decode(before + data + behind, len(before))
    assert end == len(before) + len(data)
    assert found == value
    assert list(found.fields) == list(value.fields)  # and in this order
    assert encode(found) == data


@given(st.binary(max_size=60))
def test_what_is_no_struct_is_refused_or_read_but_nothing_else(data):
    try:
        found, end = decode(data)
    except ValueError:
        return
    assert end <= len(data)
    assert isinstance(found, Struct)


def footer_of(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    data = out.getvalue()
    (length,) = struct.unpack("<I", data[-8:-4])
    return data[-8 - length : -8]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "none", "use_dictionary": False, "version": "1.0"},
        {"write_page_index": True, "row_group_size": 7},
        {"write_statistics": False, "write_page_checksum": True, "row_group_size": 3},
    ],
)
def test_footers_as_arrow_writes_them_are_the_same_byte_for_byte(options):
    count = 40
    table = pa.table(
        {
            "n": pa.array(range(count), pa.int64()),
            "text": ["é" * n for n in range(count)],
            "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * count),
            "pictures": [[{"jpeg": b"\xff\xd8", "width": n}] for n in range(count)],
            "flag": [None, True] * (count // 2),
        }
    )
    footer = footer_of(table.replace_schema_metadata({"key": "value" * 100}), **options)
    found, end = decode(footer)
    assert end == len(footer)
    assert encode(found) == footer
