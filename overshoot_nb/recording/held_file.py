"""``HeldFile``: a recording that stays what it is while something else takes its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import nullcontext
from typing import Any, BinaryIO, cast
from weakref import finalize

from .recording_file import RecordingFile

__all__ = ["HeldFile"]


class HeldFile(RecordingFile):
    """A recording that is played. For one thread at a time.

    A notebook that records its stream does so again when it is replayed, often at the very path
    that the replay comes from.

    Args:
        path: where it is.

    Raises:
        OSError: it is not there, or cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._file = _kept_open(self)
        finalize(self, self._file.close)

    def _open(self) -> Any:
        return nullcontext(self._file)

    def _current(self, file: BinaryIO) -> bool:
        return True


def _kept_open(recording: RecordingFile) -> BinaryIO:
    file = recording.path.open("rb")
    if os.name != "nt":
        return file
    # No file can be replaced there while it is open.
    with file:
        copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
        shutil.copyfileobj(file, copy, 2**20)
    return copy
