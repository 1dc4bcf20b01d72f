"""Where each picture stands in a row group, so that one is read without the others.

Parquet stores the values of a column in pages, each with a header and a checksum; a recording's
pictures are a page each (or a few small ones together). Arrow reads a row group's column as a
whole, which is most of the time that looking at one picture would take, and gives up on all of it
where a byte is damaged. So the headers are looked through here, and single pages are read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from .compact_thrift import Struct, decode

# Fields of Parquet's PageHeader and DataPageHeader structs, and the codes of what is read here.
_TYPE, _STORED_SIZE, _CRC, _DATA_HEADER = 1, 3, 4, 5
_VALUES, _ENCODING, _DEFINITION_ENCODING, _REPETITION_ENCODING = 1, 2, 3, 4
_DATA_PAGE, _PLAIN, _RLE = 0, 0, 3
#: A header, and the levels of a page that holds one picture, are in so many bytes.
_HEAD_BYTES = 256
_MOST_HEAD_BYTES = 1 << 20
_LENGTH = struct.Struct("<I")


class BrokenPageError(ValueError):
    """Bytes of a page are not as they were written."""


@dataclass(frozen=True, slots=True)
class _Page:
    offset: int
    size: int
    crc: int | None
    levels: int  # bytes of them, before the values


@dataclass(slots=True)
class PicturePages:
    """The values of one binary column of one row group, by row.

    Attributes:
        broken: where the pages could be followed no further: what is wrong; else "".
    """

    broken: str = ""
    _places: dict[int, list[tuple[_Page, int]]] = field(default_factory=dict)

    def read(self, file: pa.OSFile, row: int, count: int) -> list[bytes]:
        """The values of a row, which has ``count`` of them.

        Raises:
            BrokenPageError: they are damaged.
        """
        places = self._places.get(row, [])
        if len(places) != count:
            raise BrokenPageError(self.broken or f"{len(places)} of {count} pictures are there")
        found: list[bytes] = []
        bodies: dict[_Page, bytes] = {}
        for page, number in places:
            if page not in bodies:
                bodies[page] = _body(file, page)
            found.append(_value(bodies[page], page.levels, number))
        return found

    def read_one(self, file: pa.OSFile, row: int) -> bytes | None:
        """The value of a row of a column that has one a row, None where it is missing.

        Raises:
            BrokenPageError: it is damaged.
        """
        if row not in self._places and not self.broken:
            return None
        return self.read(file, row, 1)[0]


def find_pages(file: pa.OSFile, rows: int, chunk: Any, column: Any) -> PicturePages | None:
    """Look through the pages of a column in a row group.

    Args:
        file: the Parquet file.
        rows: how many the row group has.
        chunk: pyarrow's ColumnChunkMetaData.
        column: pyarrow's ColumnSchema of it.

    Returns:
        None where they are stored in another way than recordings are, as by other programs.
    """
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        return None
    pages = PicturePages()
    repeats, defined = column.max_repetition_level, column.max_definition_level
    at, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    row = -1
    try:
        while at < end:
            header, head, start = _header(file, at)
            data = header.get(_DATA_HEADER)
            if header.get(_TYPE) != _DATA_PAGE or data is None or data.get(_ENCODING) != _PLAIN:
                return None
            if {data.get(_DEFINITION_ENCODING), data.get(_REPETITION_ENCODING)} != {_RLE}:
                return None
            size, values = header.get(_STORED_SIZE), data.get(_VALUES)
            body = at + start
            # A row without a value takes a level, a value its length: more are not there.
            most = rows + size // _LENGTH.size if size >= 0 else 0
            if not 0 <= size <= end - body or not 0 <= values <= most:
                raise BrokenPageError("a page is longer than its column")
            read = _Levels(file, body, size, memoryview(head)[start:])
            begins = read.next(repeats, values)
            holds = read.next(defined, values)
            page, number = _Page(body, size, header.get(_CRC), read.used), 0
            for new, held in zip(begins, holds, strict=True):
                row += new == 0
                if held == defined:
                    pages._places.setdefault(row, []).append((page, number))
                    number += 1
            at = body + size
    except (ValueError, TypeError, IndexError, struct.error) as error:
        pages.broken = f"the pictures from row {row + 1} of their group on are damaged ({error})"
    return pages


def _header(file: pa.OSFile, at: int) -> tuple[Struct, bytes, int]:
    """A page's header, the bytes that were read for it, and how many of them it takes."""
    size = _HEAD_BYTES
    while True:
        file.seek(at)
        head = file.read(size)
        try:
            header, start = decode(head)
        except ValueError:
            if len(head) < size or size >= _MOST_HEAD_BYTES:
                raise
            size *= 16
        else:
            return header, head, start


class _Levels:
    """The levels that stand before a page's values: where lists begin, and what is missing."""

    def __init__(self, file: pa.OSFile, offset: int, size: int, known: memoryview) -> None:
        self._file, self._offset, self._size, self._known = file, offset, size, known
        self.used = 0

    def next(self, highest: int, count: int) -> list[int]:
        """The next ones; all 0 where the column has none."""
        if not highest:
            return [0] * count
        (length,) = _LENGTH.unpack(self._bytes(_LENGTH.size))
        return list(_runs(self._bytes(length), highest.bit_length(), count))

    def _bytes(self, count: int) -> bytes:
        end = self.used + count
        if end > self._size:
            raise BrokenPageError("its levels are longer than the page")
        if end > len(self._known):
            self._file.seek(self._offset)
            self._known = memoryview(self._file.read(end))
        found = bytes(self._known[self.used : end])
        self.used = end
        return found


def _runs(data: bytes, width: int, count: int) -> Iterator[int]:
    """Parquet's hybrid of run lengths and packed bits."""
    at = given = 0
    while given < count:
        head = shift = 0
        while True:
            head |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                break
        if head & 1:
            size = (head >> 1) * width
            bits = int.from_bytes(data[at : at + size], "little")
            number = min((head >> 1) * 8, count - given)
            yield from ((bits >> (i * width)) & ((1 << width) - 1) for i in range(number))
        else:
            size = (width + 7) // 8
            number = min(head >> 1, count - given)
            yield from [int.from_bytes(data[at : at + size], "little")] * number
        if not number:
            raise BrokenPageError("its levels make no sense")
        at, given = at + size, given + number


def _body(file: pa.OSFile, page: _Page) -> bytes:
    file.seek(page.offset)
    body: bytes = file.read(page.size)
    if len(body) < page.size:
        raise BrokenPageError("the file ends within it")
    # The checksum is written as a signed number.
    if page.crc is not None and zlib.crc32(body) != page.crc & 0xFFFFFFFF:
        raise BrokenPageError("its checksum differs")
    return body


def _value(body: bytes, at: int, number: int) -> bytes:
    for _ in range(number):
        at += _LENGTH.size + _length(body, at)
    length = _length(body, at)
    start = at + _LENGTH.size
    if start + length > len(body):
        raise BrokenPageError("it is longer than its page")
    return body[start : start + length]


def _length(body: bytes, at: int) -> int:
    if at + _LENGTH.size > len(body):
        raise BrokenPageError("its page ends before it")
    return int(_LENGTH.unpack_from(body, at)[0])
