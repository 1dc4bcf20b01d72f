"""Parquet files in the making: one that is written from its beginning to its end."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import RawIOBase

import pyarrow as pa

from .row_groups import MAGIC, EncodedGroup, FooterWriter, PlacedGroup

__all__ = ["SealedFile", "write_all"]


def write_all(file: RawIOBase, at: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` at a place of the file; what is small is one write."""
    file.seek(at)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]


class SealedFile:
    """A file whose row groups stand one behind the other; complete with :meth:`finish`.

    Args:
        file: empty, unbuffered, of which nothing is read.
        schema: of every row group.
    """

    def __init__(self, file: RawIOBase, schema: pa.Schema) -> None:
        self._file = file
        self._footers = FooterWriter(schema)
        self._groups: list[PlacedGroup] = []
        self._end = 0
        self._append(MAGIC)
        #: Rows so far.
        self.rows = 0

    def add(self, group: EncodedGroup) -> None:
        """Write a row group."""
        self._groups.append(group.at(self._end))
        self._append(group.data)
        self.rows += group.rows

    def finish(self, metadata: Mapping[bytes, bytes]) -> None:
        """Write the footer."""
        footer = self._footers.compose(self._groups, metadata)
        self._append(footer + struct.pack("<I", len(footer)) + MAGIC)

    def _append(self, data: bytes | memoryview) -> None:
        write_all(self._file, self._end, data)
        self._end += len(data)
