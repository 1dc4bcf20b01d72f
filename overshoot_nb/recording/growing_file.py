"""A Parquet file that grows, and is whole at every instant, whenever its writer is killed.

A Parquet file ends with a footer, the footer's length and a magic word, and readers begin there. So
this file is extended ahead, with a hole, and its last bytes stay where they are::

    PAR1 | sealed groups -> | hole | staging A | staging B | slot A | slot B | length | PAR1

What is new is written into bytes that the footer in force says nothing of; then a new footer into
the slot that is not in force; then, in one write of four bytes, the length that reaches back to it.
(Readers read one struct at the beginning of what the length says, and leave alone what follows.)
A process that is killed does not tear a write within a page, and what it wrote is the system's.

Sealed groups stay where they are for ever. Staged ones hold the newest rows; from time to time the
rows are sealed, and what is staged next goes to the other half: what somebody may be reading is not
written over at once. Where something does not fit, the file is extended: its new last bytes
reach back to the footer in force, in one write of eight bytes; then staging and footer move there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import RawIOBase

import pyarrow as pa

from .format import GROUP_BYTES
from .row_groups import MAGIC, EncodedGroup, FooterWriter, PlacedGroup

#: How far the file is extended at a time. A hole takes no room on the disk.
STEP_BYTES = 64 * 2**20
#: Room in one half of staging. A row may be there twice: while it waits, and with its answer.
STAGING_BYTES = 3 * GROUP_BYTES
SLOT_BYTES = 64 * 2**10
#: The end is a multiple of it, so that its last eight bytes are never in two pages.
ALIGNMENT = 2**20
TAIL_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Ground:
    """How the file is divided: where it ends, and how large a half of staging and a slot are."""

    end: int
    staging: int
    slot: int

    @property
    def tail(self) -> int:
        return self.end - TAIL_BYTES

    @property
    def slots(self) -> tuple[int, int]:
        return self.tail - 2 * self.slot, self.tail - self.slot

    @property
    def halves(self) -> tuple[int, int]:
        first = self.slots[0]
        return first - 2 * self.staging, first - self.staging


@dataclass(frozen=True, slots=True)
class _Staged:
    """A staged group at its place."""

    group: EncodedGroup
    start: int
    placed: PlacedGroup

    @property
    def end(self) -> int:
        return self.start + len(self.group.data)


class GrowingFile:
    """Writes a file as described above. One thread at a time.

    Args:
        file: empty, unbuffered, at a path where nobody looks yet.
        schema: of every row group.
        metadata: the file's key-value metadata.
    """

    def __init__(self, file: RawIOBase, schema: pa.Schema, metadata: Mapping[bytes, bytes]) -> None:
        self._file = file
        self._footers = FooterWriter(schema)
        self._metadata = metadata
        self._sealed: list[PlacedGroup] = []
        self._sealed_end = len(MAGIC)
        self._staged: list[_Staged] = []
        self._half = 0
        footer = self._footers.compose([], metadata)
        self._ground = _ground_behind(0, self._sealed_end, STAGING_BYTES, len(footer))
        self._footer_at = self._ground.slots[0]
        self._footer_bytes = len(footer)
        write_all(file, 0, MAGIC)
        write_all(file, self._footer_at, footer)
        write_all(file, self._ground.tail, _tail(self._ground.tail - self._footer_at))

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return sum(group.rows for group in self._sealed) + sum(s.group.rows for s in self._staged)

    @property
    def nbytes(self) -> int:
        """Bytes that hold something."""
        staged = sum(len(s.group.data) for s in self._staged)
        return self._sealed_end + staged + self._footer_bytes + TAIL_BYTES

    @property
    def staged(self) -> int:
        """How many groups are staged."""
        return len(self._staged)

    def move_to(self, file: RawIOBase) -> None:
        """The same file was opened anew."""
        self._file = file

    def write(
        self,
        sealed: Sequence[EncodedGroup],
        staged: Sequence[EncodedGroup],
        metadata: Mapping[bytes, bytes],
        *,
        keep: bool,
    ) -> None:
        """Bring groups and metadata into force, all at once.

        Args:
            sealed: stand behind those that are sealed.
            staged: likewise.
            metadata: in place of what is there.
            keep: whether what is staged stays.

        Raises:
            OSError: it cannot be written; what was in force is so still.
        """
        while True:
            half = self._half if keep else 1 - self._half
            kept = self._staged if keep else []
            ground = self._ground
            places, end = _in_a_row(sealed, self._sealed_end)
            put = _staged(staged, kept[-1].end if kept else ground.halves[half])
            all_sealed, all_staged = [*self._sealed, *places], [*kept, *put]
            footer = self._composed(all_sealed, all_staged, metadata)
            needed = sum(len(one.group.data) for one in all_staged)
            if end <= ground.halves[0] and needed <= ground.staging and len(footer) <= ground.slot:
                break
            self._extend(end, needed, len(footer))
        at = self._sealed_end
        for group in sealed:
            write_all(self._file, at, group.data)
            at += len(group.data)
        for one in put:
            write_all(self._file, one.start, one.group.data)
        self._enforce(footer)
        self._sealed, self._staged, self._sealed_end = all_sealed, all_staged, end
        self._metadata, self._half = metadata, half

    def finish(self, metadata: Mapping[bytes, bytes]) -> None:
        """Cut off all that is not needed. Nothing may be staged any more; nothing comes after.

        Raises:
            OSError: it cannot be written; what was in force is so still.
        """
        assert not self._staged
        footer = self._footers.compose(self._sealed, metadata)
        whole = footer + _tail(len(footer))
        if self._sealed_end + len(whole) > self._ground.slots[0]:
            self._extend(self._sealed_end + len(whole), 0, len(footer))
        write_all(self._file, self._sealed_end, whole)
        self._file.truncate(self._sealed_end + len(whole))
        self._footer_bytes = len(footer)

    # ---- footers ----

    def _composed(
        self,
        sealed: Sequence[PlacedGroup],
        staged: Sequence[_Staged],
        metadata: Mapping[bytes, bytes],
    ) -> bytes:
        return self._footers.compose([*sealed, *(one.placed for one in staged)], metadata)

    def _enforce(self, footer: bytes) -> None:
        """Write a footer into a slot that is not in force, and bring it into force."""
        first, second = self._ground.slots
        at = second if self._footer_at == first else first
        write_all(self._file, at, footer)
        write_all(self._file, self._ground.tail, struct.pack("<I", self._ground.tail - at))
        self._footer_at, self._footer_bytes = at, len(footer)

    # ---- room ----

    def _extend(self, sealed_end: int, staging: int, footer: int) -> None:
        """Make the file larger: then there is room for all of that."""
        half = self._ground.staging
        while half < staging:
            half *= 2
        # What is in force moves too, and may be the larger one.
        largest = max(footer, self._footer_bytes)
        ground = _ground_behind(self._ground.end, sealed_end, half, largest)
        write_all(self._file, ground.tail, _tail(ground.tail - self._footer_at))
        self._ground = ground
        # Sealed groups will stand where staging was.
        moved = _staged([one.group for one in self._staged], ground.halves[self._half])
        for one in moved:
            write_all(self._file, one.start, one.group.data)
        self._enforce(self._composed(self._sealed, moved, self._metadata))
        self._staged = moved


def _ground_behind(old_end: int, sealed_end: int, staging: int, footer: int) -> _Ground:
    slot = SLOT_BYTES
    while slot < 2 * footer:
        slot *= 2
    room = 2 * (staging + slot) + TAIL_BYTES
    # Staging and slots are to be new ground altogether, for the old ones are in force meanwhile.
    end = max(old_end + STEP_BYTES, old_end + room, sealed_end + room)
    return _Ground(-(-end // ALIGNMENT) * ALIGNMENT, staging, slot)


def _in_a_row(groups: Sequence[EncodedGroup], start: int) -> tuple[list[PlacedGroup], int]:
    """The groups one behind the other, and where they end."""
    placed = []
    for group in groups:
        placed.append(group.at(start))
        start += len(group.data)
    return placed, start


def _staged(groups: Sequence[EncodedGroup], start: int) -> list[_Staged]:
    staged = []
    for group in groups:
        staged.append(_Staged(group, start, group.at(start)))
        start = staged[-1].end
    return staged


def _tail(length: int) -> bytes:
    return struct.pack("<I", length) + MAGIC


def write_all(file: RawIOBase, at: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` at a place of the file; what is small is one write."""
    file.seek(at)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]
