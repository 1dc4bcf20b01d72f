"""``RecordedFrames``: the pictures of a recording, read from its file when they are looked at."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overshoot_nb.types import EncodedFrame, Mode, Sample

from .format import GROUP_BYTES
from .recorded_rows import column_values
from .recording_file import DamagedFileError, Footer, GroupKey, RecordingFile

__all__ = ["RecordedFrames", "picture_columns"]

#: Bytes of row groups that are kept: whoever looks at a picture looks at its neighbours next.
CACHE_BYTES = 3 * GROUP_BYTES
#: How often a picture is looked for anew because its file was written meanwhile.
_ATTEMPTS = 10

_PICTURES = ("sample", "mode", "media_time", "captured_at", "frames", "video")


def picture_columns(footer: Footer) -> list[str]:
    """What tells which rows have pictures, without reading any."""
    leaf = footer.leaf("frames", "width")
    return ["kind", "sample", leaf if leaf is not None else "frames"]


class RecordedFrames:
    """A :class:`~overshoot_nb.frames.FrameArchive` of a recording.

    Samples are found by the row group that holds them, which is read whole; a few of these are
    kept in memory. A file that goes on being recorded is looked through anew where it changed;
    the samples are those that it held at first.

    Args:
        file: the recording.
        footer: what was in it when it was looked through.
        table: the columns of :func:`picture_columns` then.
    """

    def __init__(self, file: RecordingFile, footer: Footer, table: pa.Table) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._footer = footer
        self._places = _places(table, footer)
        self._held = frozenset(self._places)
        self._cache: OrderedDict[GroupKey, pa.Table] = OrderedDict()
        self._failures: dict[int, str] = {}
        self._closed = False

    # ---- see FrameArchive ----

    @property
    def nbytes(self) -> int:
        """Bytes of the file, nearly all of which are pictures."""
        return self._file.nbytes

    @property
    def latest(self) -> int | None:
        """Index of the newest sample with pictures, None where there is none."""
        return None if self._closed else max(self._held, default=None)

    def indices(self) -> list[int]:
        """The samples that have pictures."""
        return [] if self._closed else sorted(self._held)

    def __contains__(self, index: object) -> bool:
        return not self._closed and index in self._held

    def get(self, index: int) -> Sample | None:
        """A sample with its pictures, None where the file has none of it, or is damaged there."""
        if index not in self:
            return None
        with self._lock:
            try:
                found = self._read(index)
            except (DamagedFileError, OSError) as error:
                self._failures[index] = str(error)
                return None
            self._failures.pop(index, None)
            return found

    def why_not(self, index: int) -> str:
        """Why there are no pictures of a sample, in words."""
        if self._closed:
            return f"no sample {index}: {self._file.path.name} was closed"
        if (failure := self._failures.get(index)) is not None:
            return f"the pictures of sample {index} cannot be read: {failure}"
        if not self._held:
            return f"no sample {index}: {self._file.path.name} was recorded without pictures"
        if index > max(self._held):
            return f"no sample {index}: the newest with pictures in the recording is {self.latest}"
        return f"sample {index} has no pictures in the recording"

    def close(self) -> None:
        """Hold nothing any more. Idempotent."""
        with self._lock:
            self._closed = True
            self._cache.clear()

    # ---- reading ----

    def _read(self, index: int) -> Sample | None:
        for _ in range(_ATTEMPTS):
            place = self._places.get(index)
            if place is None:
                return None
            group, row = place
            table = self._group(group)
            if table is not None and table.column("sample")[row].as_py() == index:
                return _sample(table, row)
            self._look_through()
        raise DamagedFileError(f"{self._file.path} was written faster than it can be read")

    def _group(self, group: int) -> pa.Table | None:
        """A row group's pictures; None where the file has changed."""
        key = self._footer.groups[group]
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        table, _ = self._file.read_group(self._footer, group, _PICTURES)
        if table is not None:
            self._cache[key] = table
            # The newest stays, however large it is.
            while len(self._cache) > 1 and self._cached() > CACHE_BYTES:
                self._cache.popitem(last=False)
        return table

    def _cached(self) -> int:
        return sum(table.nbytes for table in self._cache.values())

    def _look_through(self) -> None:
        self._cache.clear()
        self._footer, table = self._file.read(picture_columns(self._file.footer()))
        self._places = _places(table, self._footer)


def _places(table: pa.Table, footer: Footer) -> dict[int, tuple[int, int]]:
    """The row group, and the row in it, of each sample that has pictures: the last of several."""
    frames = table.column("frames").is_valid().to_numpy()
    own = pc.not_equal(table.column("kind"), pa.scalar("later", table.schema.field("kind").type))
    rows = np.flatnonzero(frames & own.fill_null(False).to_numpy())
    samples = cast("list[int]", table.column("sample").to_numpy()[rows].tolist())
    firsts = [0, *accumulate(footer.rows)]
    places: dict[int, tuple[int, int]] = {}
    for sample, row in zip(samples, rows.tolist(), strict=True):
        group = bisect_right(firsts, row) - 1
        places[sample] = group, row - firsts[group]
    return places


def _sample(table: pa.Table, row: int) -> Sample:
    one = table.slice(row, 1)
    (mode,), (captured_at,), (media_time,) = (
        column_values(one, name) for name in ("mode", "captured_at", "media_time")
    )
    frames: Sequence[dict[str, Any]] = one.column("frames")[0].as_py() or ()
    return Sample(
        index=one.column("sample")[0].as_py(),
        mode=cast(Mode, mode if mode in ("frame", "clip") else "frame"),
        media_time=media_time or 0.0,
        captured_at=captured_at or datetime.fromtimestamp(0, UTC),
        frames=tuple(
            EncodedFrame(f["media_time"], f["jpeg"] or b"", f["width"], f["height"]) for f in frames
        ),
        video=one.column("video")[0].as_py(),
    )
