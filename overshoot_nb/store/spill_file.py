"""``SpillFile``: a temporary file that is written round and round."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from pathlib import Path

from overshoot_nb import config

#: What the operating system says where nothing more fits: the disk, a quota, a limit of the shell.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
#: The free space is asked for once in so many bytes.
_GROWTH = 64 * 1024**2


class SpillFile:
    """Bytes at positions that only ever grow; when the file is full, the oldest are overwritten.

    A position stands for the byte ``position % capacity`` of the file, and is there as long as it
    is not below :attr:`oldest`. The capacity shrinks once, to what was written, where the disk has
    room for no more. The file has no name where the system can do that, and goes with the process,
    however that ends. One thread writes, any may read.

    Args:
        folder: where it is made, when it is first written.
        capacity: its bytes, at most.

    Attributes:
        head: the position behind the newest byte.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity
        self.head = 0
        self._granted = 0  # up to here there was room on the disk
        # A number, not a file object, which the end of the interpreter would complain of.
        self._descriptor: int | None = None
        self._seeking = threading.Lock()  # where reading at a place is not one call

    @property
    def oldest(self) -> int:
        """The lowest position whose byte is still there."""
        return max(0, self.head - self.capacity)

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return min(self.head, self.capacity)

    def make_room(self, nbytes: int) -> bool:
        """Open the file and ask the disk for room; False where it has to stay as large as it is.

        Raises:
            OSError: it cannot be made, or the disk has no room at all.
        """
        if self._descriptor is None:
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        end = self.head + nbytes
        if self.head >= self.capacity or end <= self._granted:
            return True
        wanted = min(self.capacity, max(end, self._granted + _GROWTH))
        free = shutil.disk_usage(self.folder).free
        if free - (wanted - self.head) >= config.SPILL_LEAVE_BYTES:
            self._granted = wanted
            return True
        if self.head == 0:
            left = config.SPILL_LEAVE_BYTES // 1024**2
            raise OSError(errno.ENOSPC, f"less than {left} MB would be left free")
        self.capacity = self.head
        return False

    def reserve(self, nbytes: int) -> int:
        """The position of the next ``nbytes``, at most the capacity; what stood there is gone."""
        position = self.head
        self.head += nbytes
        return position

    def give_back(self, position: int, error: OSError) -> bool:
        """Writing at ``position`` failed: whether it can be tried again, with a smaller file."""
        if error.errno not in _FULL or not 0 < position <= self.capacity:
            return False
        self.capacity = self.head = position
        return True

    def write(self, position: int, data: bytes) -> None:
        """Write at a position that was reserved.

        Raises:
            OSError: it could not be written.
        """
        for start, part in self._parts(position, memoryview(data)):
            done = 0
            while done < len(part):
                done += self._write_at(start + done, part[done:])

    def read(self, position: int, nbytes: int) -> bytes:
        """The bytes from a position on. What was overwritten meanwhile is other bytes.

        Raises:
            OSError: they cannot be read.
        """
        first = self.capacity - position % self.capacity
        data = self._read_at(position % self.capacity, min(nbytes, first))
        if nbytes > first:
            data += self._read_at(0, nbytes - first)
        if len(data) != nbytes:
            raise OSError(errno.EIO, f"{len(data)} of {nbytes} bytes are there")
        return data

    def close(self) -> None:
        """Give the file back to the system. Idempotent; nobody may be reading or writing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _parts(self, position: int, data: memoryview) -> list[tuple[int, memoryview]]:
        start = position % self.capacity
        first = self.capacity - start
        return [(start, data[:first]), (0, data[first:])]

    def _write_at(self, start: int, data: memoryview) -> int:
        assert self._descriptor is not None
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, data, start)
        with self._seeking:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            return os.write(self._descriptor, data)

    def _read_at(self, start: int, nbytes: int) -> bytes:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, nbytes, start)
        with self._seeking:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            return os.read(self._descriptor, nbytes)
