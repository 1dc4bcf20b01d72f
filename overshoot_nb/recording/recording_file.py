"""A recording's file as it is read: its footer, its metadata, and columns of its row groups.

A file may be recorded while it is read, and another may take its place. What a footer in force
refers to does not change; so whatever was read counts if a footer that is read after it still
refers to the very same row groups. The file is open only while something is read: nothing is left
to close, and on every system it can be replaced.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from overshoot_nb.errors import ValidationError

from .format import FORMAT, METADATA_KEY
from .picture_pages import PicturePages, find_pages

T = TypeVar("T")

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")
#: How often what was read is read again because the file was written meanwhile.
_ATTEMPTS = 20

#: So many rows may be claimed by a file of any size: it is cheap to find out that there are none.
_UNPROVEN_ROWS = 1_000_000

#: What tells row groups apart: rows, bytes, and where the first and the last column are.
GroupKey = tuple[int, ...]

#: What pyarrow raises about bytes that are not as they should be. An OSError of the system's has
#: a number, one of Arrow's has none.
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


class DamagedFileError(ValidationError):
    """Bytes of the file are not as they were written."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What is in a file at one moment.

    Attributes:
        raw: the footer's own bytes.
        parquet: the same, parsed.
        groups: the row groups, in order.
    """

    raw: bytes = field(repr=False)
    parquet: pq.FileMetaData
    groups: tuple[GroupKey, ...] = field(repr=False)

    @property
    def rows(self) -> list[int]:
        """How many rows each group has."""
        return [key[0] for key in self.groups]

    def leaf(self, column: str, ending: str) -> str | None:
        """The path of a part of a nested column, None where it has none of that name."""
        schema = self.parquet.schema
        for i in range(len(schema)):
            path: str = schema.column(i).path
            if path.startswith(f"{column}.") and path.endswith(f".{ending}"):
                return path
        return None


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A row group of a file that is open."""

    recording: RecordingFile
    file: pa.OSFile
    footer: Footer
    group: int

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Columns of its rows.

        Raises:
            DamagedFileError: they cannot be read.
        """
        return self.recording._columns(self.file, self.footer, [self.group], names)

    def pages(self, path: str) -> PicturePages | None:
        """The pages of a binary column; None where they are stored in another way than ours."""
        parquet = self.footer.parquet
        for i in range(parquet.num_columns):
            column = parquet.schema.column(i)
            if column.path == path:
                group = parquet.row_group(self.group)
                return find_pages(self.file, group.num_rows, group.column(i), column)
        return None


class RecordingFile:
    """A recording on disk. Any thread may read it.

    Args:
        path: where it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Wherever the program goes meanwhile, it stays the same file.
        self.path = Path(path).expanduser().absolute()

    @property
    def nbytes(self) -> int:
        """Its size in bytes; 0 where it is gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def stamp(self) -> tuple[int, ...]:
        """What differs once the file was written, or another took its place; () where it is gone.

        As fine as the clock of the file system: what is as it was may have changed just now.
        """
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    # ---- what is in it ----

    def footer(self) -> Footer:
        """What is in it now.

        Raises:
            ValidationError: it is no Parquet file, or was cut off or damaged.
            OSError: it cannot be read.
        """
        with self._open() as file:
            return self._footer(file)

    def metadata(self, footer: Footer) -> dict[str, Any]:
        """What it says of the run, as in :mod:`~overshoot_nb.recording.run_metadata`.

        Raises:
            ValidationError: it is no recording, or one of a newer format.
        """
        text = (footer.parquet.metadata or {}).get(METADATA_KEY.encode())
        if text is None:
            raise ValidationError(
                f"{self.path} is a Parquet file, but no recording (or one that another program "
                "wrote anew, without what recordings say of their runs): pandas.read_parquet(path) "
                "reads its rows, stream.record(path) makes recordings"
            )
        try:
            said = json.loads(text)
            version = said["format"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"format {version!r}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValidationError(
                f"{self.path} is no recording that can be read: what it says of its run is "
                f"damaged ({_short(error)})"
            ) from None
        if version > FORMAT:
            raise ValidationError(
                f"{self.path} is a recording of format {version}, this version of overshoot_nb "
                f"reads up to {FORMAT}: pip install -U overshoot-nb "
                f"(it was written by {_short(said.get('package', 'a newer one'))})"
            )
        return dict(said)

    # ---- columns ----

    def schema(self, footer: Footer) -> pa.Schema:
        """Its columns.

        Raises:
            DamagedFileError: they are of no types that there are.
        """
        try:
            return footer.parquet.schema.to_arrow_schema()
        except _DAMAGE as error:
            raise DamagedFileError(f"{self.path} is damaged ({_short(error)})") from None

    def read(self, columns: Sequence[str]) -> tuple[Footer, pa.Table]:
        """Columns of all rows, of one moment; leaves of nested columns by their paths.

        Raises:
            DamagedFileError: they cannot be read.
            OSError: the file cannot be read.
        """
        parts: dict[GroupKey, pa.Table] = {}
        for _ in range(_ATTEMPTS):
            with self._open() as file:
                footer = self._footer(file)
                wanted = [i for i, key in enumerate(footer.groups) if key not in parts]
                failure = None
                try:
                    table = self._columns(file, footer, wanted, columns)
                except DamagedFileError as error:
                    failure = error
                else:
                    parts |= _split(table, [footer.groups[i] for i in wanted])
            after = self.footer()  # of the file that is there now
            if set(footer.groups) <= set(after.groups):
                if failure is not None:
                    raise failure
                if not footer.groups:
                    return footer, self._empty(footer, columns)
                return footer, pa.concat_tables([parts[key] for key in footer.groups])
            parts = {key: part for key, part in parts.items() if key in after.groups}
        raise DamagedFileError(f"{self.path} was written faster than it can be read: try again")

    def from_group(
        self, footer: Footer, group: int, read: Callable[[OpenGroup], T]
    ) -> tuple[T | None, Footer]:
        """What ``read`` finds in a row group, or None where the file has it no more; its footer.

        Raises:
            DamagedFileError: it cannot be read.
            OSError: the file cannot be read.
        """
        key = footer.groups[group]
        with self._open() as file:
            if key not in (now := self._seen(file, footer)).groups:
                return None, now
            found = failure = None
            try:
                found = read(OpenGroup(self, file, footer, group))
            except DamagedFileError as error:
                failure = error
            if key not in (now := self._seen(file, footer)).groups:
                return None, now
        if failure is not None:
            raise failure
        return found, now

    # ---- bytes ----

    def _open(self) -> pa.OSFile:
        # Not Python's own: Arrow reads that one under its lock, column by column.
        return pa.OSFile(str(self.path))

    def _seen(self, file: pa.OSFile, known: Footer) -> Footer:
        """The footer in force; the known one where it still is, without parsing it again."""
        return known if self._raw(file) == known.raw else self._footer(file)

    def _footer(self, file: pa.OSFile) -> Footer:
        raw = self._raw(file)
        whole = _MAGIC + raw + _TAIL.pack(len(raw), _MAGIC)
        try:
            parquet = pq.read_metadata(pa.BufferReader(whole))
        except _DAMAGE as error:
            raise DamagedFileError(
                f"{self.path} is damaged: the part that says what is in it cannot be read "
                f"({_short(error)})"
            ) from None
        found = Footer(raw, parquet, tuple(map(_key, _groups(parquet))))
        # Each has a number, a time and a stream of its own: no way to write them takes less.
        if sum(found.rows) > file.size() + _UNPROVEN_ROWS:
            raise DamagedFileError(
                f"{self.path} is damaged: its {file.size():,} bytes cannot hold the "
                f"{sum(found.rows):,} rows that it claims"
            )
        return found

    def _raw(self, file: pa.OSFile) -> bytes:
        file.seek(0)
        begins = file.read(len(_MAGIC))
        size = file.size()
        if begins != _MAGIC:
            what = "is empty" if size == 0 else "is no Parquet file"
            raise ValidationError(
                f"{self.path} {what}: give a recording, as stream.record(path) writes them"
            )
        if size < len(_MAGIC) + _TAIL.size:
            raise self._cut()
        file.seek(size - _TAIL.size)
        tail = file.read(_TAIL.size)
        if len(tail) < _TAIL.size:  # somebody cuts it right now
            raise self._cut()
        length, magic = _TAIL.unpack(tail)
        start = size - _TAIL.size - length
        if magic != _MAGIC or start < len(_MAGIC):
            raise self._cut()
        file.seek(start)
        raw: bytes = file.read(length)
        if len(raw) < length:
            raise self._cut()
        return raw

    def _cut(self) -> ValidationError:
        return ValidationError(
            f"{self.path} was cut off: its end, which says what is in it, is missing. A recording "
            "is whole at every moment, so this is a copy or a download that did not finish: "
            "copy it again"
        )

    def _columns(
        self, file: pa.OSFile, footer: Footer, groups: list[int], columns: Sequence[str]
    ) -> pa.Table:
        if not groups:
            return self._empty(footer, columns)
        try:
            with pq.ParquetFile(
                file, metadata=footer.parquet, page_checksum_verification=True
            ) as parquet:
                return parquet.read_row_groups(groups, columns=list(columns))
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DamagedFileError(f"{self.path} is damaged ({_short(error)})") from None

    def _empty(self, footer: Footer, columns: Sequence[str]) -> pa.Table:
        schema = self.schema(footer)
        names = (c if c in schema.names else c.partition(".")[0] for c in columns)
        return pa.schema([schema.field(name) for name in dict.fromkeys(names)]).empty_table()


def _groups(parquet: pq.FileMetaData) -> list[Any]:
    return [parquet.row_group(i) for i in range(parquet.num_row_groups)]


def _key(group: Any) -> GroupKey:
    first, last = group.column(0), group.column(group.num_columns - 1)
    return (
        group.num_rows,
        group.total_byte_size,
        first.data_page_offset,
        first.total_compressed_size,
        last.data_page_offset,
        last.total_compressed_size,
    )


def _split(table: pa.Table, groups: list[GroupKey]) -> dict[GroupKey, pa.Table]:
    parts, first = {}, 0
    for key in groups:
        parts[key] = table.slice(first, key[0])
        first += key[0]
    return parts


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"
