"""Row groups and footers of a Parquet file, each as bytes of its own.

Arrow's writer writes whole files from byte 0 on. A recording grows at several places, so each row
group is written as a file in memory, of which the group's bytes are taken; a footer says where they
were put, and is composed of what these small files' footers say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .compact_thrift import BINARY, I64, LIST, STRUCT, Listed, Struct, decode, encode

MAGIC = b"PAR1"

#: A page is full when it has so many bytes, at most and at least.
PAGE_BYTES = 32 * 1024
LEAST_PAGE_BYTES = 1024

#: Columns whose bytes are pictures already, and those that only ours reads.
_PICTURES = ("frames.list.element.jpeg", "video")
_UNORDERED = (*_PICTURES, "exact")

# Fields of Parquet's FileMetaData, RowGroup, ColumnChunk and ColumnMetaData structs.
_FILE_ROWS, _FILE_GROUPS, _FILE_PAIRS = 3, 4, 5
_GROUP_COLUMNS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _CHUNK_METADATA = 2, 3
#: Offsets within the file: of pages; of the index, dictionary and first data page, bloom filter.
_CHUNK_OFFSETS = (_CHUNK_OFFSET, 4, 6)
_COLUMN_OFFSETS = (9, 10, 11, 14)


@dataclass(frozen=True, slots=True)
class PlacedGroup:
    """A row group at its place: what a footer says of it, encoded."""

    rows: int
    described: bytes


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """A row group that can stand anywhere in a file.

    Attributes:
        data: its bytes.
        rows: how many it holds.
    """

    data: memoryview
    rows: int
    _described: Struct  # as if it stood right behind the magic

    def at(self, offset: int) -> PlacedGroup:
        """Itself, where its bytes begin at ``offset``."""
        shift = offset - len(MAGIC)
        group = _shifted(self._described, (_GROUP_OFFSET,), shift)
        # Optional, and 16 bits wide: a long recording has more groups than that.
        group.fields.pop(_GROUP_ORDINAL, None)
        chunks = []
        for chunk in group.get(_GROUP_COLUMNS).items:
            chunk = _shifted(chunk, _CHUNK_OFFSETS, shift)
            column = _shifted(chunk.get(_CHUNK_METADATA), _COLUMN_OFFSETS, shift)
            chunk.put(_CHUNK_METADATA, STRUCT, column)
            chunks.append(chunk)
        group.put(_GROUP_COLUMNS, LIST, Listed(STRUCT, chunks))
        return PlacedGroup(self.rows, encode(group))


def encode_group(table: pa.Table) -> EncodedGroup:
    """The rows of a table as one row group."""
    footer, data = _written(table.schema, table)
    group = footer.get(_FILE_GROUPS).items[0]
    return EncodedGroup(data, table.num_rows, group)


class FooterWriter:
    """Composes footers of files of one schema.

    Args:
        schema: of every row group.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._footer, _ = _written(schema, None)
        self._pairs = self._footer.get(_FILE_PAIRS).items  # how Arrow describes the schema

    def compose(self, groups: Iterable[PlacedGroup], metadata: Mapping[bytes, bytes]) -> bytes:
        """The footer of a file with these row groups, in this order.

        Args:
            groups: what the file holds.
            metadata: its key-value metadata.
        """
        groups = list(groups)
        footer = Struct(dict(self._footer.fields))
        footer.put(_FILE_ROWS, I64, sum(group.rows for group in groups))
        footer.put(_FILE_GROUPS, LIST, Listed(STRUCT, [group.described for group in groups]))
        pairs = [*map(_pair, metadata.items()), *self._pairs]
        footer.put(_FILE_PAIRS, LIST, Listed(STRUCT, pairs))
        return encode(footer)


def _pair(item: tuple[bytes, bytes]) -> Struct:
    pair = Struct()
    for number, text in enumerate(item, 1):
        pair.put(number, BINARY, text)
    return pair


def _shifted(described: Struct, numbers: Iterable[int], shift: int) -> Struct:
    """A copy of which these fields are so much larger."""
    copy = Struct(dict(described.fields))
    for number in numbers:
        if offset := described.get(number):  # 0: some writers say so where there is none
            copy.put(number, I64, offset + shift)
    return copy


def _written(schema: pa.Schema, table: pa.Table | None) -> tuple[Struct, memoryview]:
    """The footer of a file in memory, and what stands between its magic and that."""
    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, schema, **parquet_options(schema, table)) as writer:
        if table is not None:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
    file = memoryview(out.getvalue()).cast("B")
    (length,) = struct.unpack("<I", file[-8:-4])
    start = len(file) - 8 - length
    footer, _ = decode(file, start)
    return footer, file[len(MAGIC) : start]


def parquet_options(schema: pa.Schema, table: pa.Table | None) -> dict[str, Any]:
    """How Arrow is to write a recording.

    Args:
        schema: of all of it.
        table: some of its rows, by whose size the pages are made; None where there are none.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    plain = [name for name, _ in leaves if name not in _PICTURES]
    return {
        "version": "2.6",
        "compression": {name: "none" if name in _PICTURES else "zstd" for name, _ in leaves},
        "use_dictionary": plain,
        # The texts' would fill the footer, which is written every second or two.
        "write_statistics": [
            name
            for name, type_ in leaves
            if name not in _UNORDERED and "." not in name.removeprefix("out.")
            if name in ("kind", "stream_id") or not pa.types.is_string(type_)
        ],
        **_paging(table),
    }


def _paging(table: pa.Table | None) -> dict[str, Any]:
    """A page for each picture, with a checksum: it is read, and damaged, alone."""
    each = table.nbytes // max(table.num_rows, 1) if table is not None else 0
    # Large for rows without pictures, and for the other columns of rows with large ones.
    page = PAGE_BYTES
    if each >= LEAST_PAGE_BYTES:
        page = min(max(each // 4, LEAST_PAGE_BYTES), PAGE_BYTES)
    return {
        "data_page_size": page,
        "write_batch_size": min(max(page // max(each, 1), 1), 1024),
        "write_page_checksum": True,
    }


def _leaves(name: str, type_: Any) -> list[tuple[str, Any]]:
    """The columns that Parquet makes of a field: path and type."""
    if pa.types.is_list(type_):
        return _leaves(f"{name}.list.element", type_.value_type)
    if pa.types.is_struct(type_):
        return [leaf for field in type_ for leaf in _leaves(f"{name}.{field.name}", field.type)]
    return [(name, type_)]
