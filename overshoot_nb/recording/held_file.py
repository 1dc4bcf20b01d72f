"""``HeldFile``: a recording that stays what it is while something else takes its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import nullcontext
from typing import Any
from weakref import finalize

import pyarrow as pa

from .recording_file import RecordingFile


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


def _kept_open(recording: RecordingFile) -> Any:
    if os.name != "nt":
        return pa.OSFile(str(recording.path))
    # No file can be replaced there while it is open.
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    with recording.path.open("rb") as file:
        shutil.copyfileobj(file, copy, 2**20)
    return pa.PythonFile(copy, "r")
