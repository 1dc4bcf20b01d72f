"""``RecordedFrames``: the pictures of a recording, read from its file when they are looked at."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overshoot_nb.errors import ValidationError
from overshoot_nb.types import EncodedFrame, Mode, Sample

from .recorded_rows import column_values
from .recording_file import DamagedFileError, Footer, GroupKey, OpenGroup, RecordingFile

#: Rows of which it is remembered where their pictures are, in whole row groups: whoever looks at a
#: picture looks at its neighbours next. Some 0.5 KB each.
CACHED_ROWS = 10_000
#: How often a picture is looked for anew because its file was written meanwhile.
_ATTEMPTS = 10

_SAMPLE = ("sample", "mode", "media_time", "captured_at")
_FRAME = ("media_time", "width", "height")


def picture_columns(footer: Footer) -> list[str]:
    """What tells which rows have pictures, without reading any."""
    leaf = footer.leaf("frames", "width")
    return ["kind", "sample", leaf if leaf is not None else "frames"]


class RecordedFrames:
    """A :class:`~overshoot_nb.store.frames.FrameArchive` of a recording.

    No picture is kept in memory: it is read from its place in the file each time. A file that goes
    on being recorded is looked through anew where it changed; the samples are those that it held
    at first.

    Args:
        file: the recording.
        footer: what was in it when it was looked through.
        table: the columns of :func:`picture_columns` then.
        stream_ids: of the recorded run: pictures of another one that takes its place are not its.
    """

    def __init__(
        self,
        file: RecordingFile,
        footer: Footer,
        table: pa.Table,
        stream_ids: Sequence[str],
    ) -> None:
        self._file = file
        self._stream_ids = frozenset(stream_ids)
        self._lock = threading.Lock()
        self._footer = footer
        self._places = _places(table, footer)
        self._held = frozenset(self._places)
        self._cache: OrderedDict[GroupKey, _Group] = OrderedDict()
        self._stamp = file.stamp
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
            except (ValidationError, OSError) as error:
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
        for attempt in range(_ATTEMPTS):
            if index not in self._places:  # as the file was seen last: it may be another now
                if attempt:
                    return None
                self._look_through()
                continue
            number, row = self._places[index]
            key = self._footer.groups[number]
            # Groups of the same sizes, as pictures of nothing have, look the same.
            if (stamp := self._file.stamp) != self._stamp:
                self._cache.clear()
                self._stamp = stamp
            read = partial(self._sample, key, row)
            found, _ = self._file.from_group(self._footer, number, read)
            if found is None or found.index != index:
                self._look_through()
            elif self._file.stamp == stamp:
                return found
        raise DamagedFileError(f"{self._file.path} was written faster than it can be read")

    def _sample(self, key: GroupKey, row: int, group: OpenGroup) -> Sample:
        known = self._cache.get(key)
        if known is None:
            known = self._cache[key] = _Group(group)
            while len(self._cache) > 1 and self._cached_rows() > CACHED_ROWS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        try:
            return known.sample(group.file, row)
        except (ValueError, TypeError, KeyError) as error:  # BrokenPageError and Arrow's too
            raise DamagedFileError(f"{self._file.path} is damaged there: {error}") from None

    def _cached_rows(self) -> int:
        return sum(group.rows for group in self._cache.values())

    def _look_through(self) -> None:
        footer, table = self._file.read(picture_columns(self._file.footer()))
        if self._stream_ids.isdisjoint(self._file.metadata(footer)["stream_ids"]):
            raise DamagedFileError(f"{self._file.path} is a recording of another run now")
        self._cache.clear()
        self._footer = footer
        self._places = _places(table, self._footer)


class _Group:
    """A row group: its samples, and where their pictures are in the file."""

    def __init__(self, group: OpenGroup) -> None:
        jpeg = group.footer.leaf("frames", "jpeg")
        self._jpegs = group.pages(jpeg) if jpeg is not None else None
        self._videos = group.pages("video")
        # Files of other programs are read as a whole.
        self._whole = self._jpegs is None or self._videos is None
        columns = list(_SAMPLE)
        if self._whole:
            columns += ["frames", "video"]
        else:
            leaves = (group.footer.leaf("frames", name) for name in _FRAME)
            columns += [leaf for leaf in leaves if leaf is not None]
        self._table = group.columns(columns)
        self.rows = self._table.num_rows

    def sample(self, file: pa.OSFile, row: int) -> Sample:
        """The sample in a row.

        Raises:
            ValueError, TypeError, KeyError: its pictures are damaged, or something else.
        """
        one = self._table.slice(row, 1)
        frames: list[dict[str, Any]] = one.column("frames")[0].as_py() or []
        if self._jpegs is None or self._videos is None:
            jpegs = [frame["jpeg"] for frame in frames]
            video = one.column("video")[0].as_py()
        else:
            jpegs = self._jpegs.read(file, row, len(frames))
            video = self._videos.read_one(file, row)
        (mode,), (captured_at,), (media_time,) = (
            column_values(one, name) for name in ("mode", "captured_at", "media_time")
        )
        return Sample(
            index=one.column("sample")[0].as_py(),
            mode=cast(Mode, mode if mode in ("frame", "clip") else "frame"),
            media_time=media_time or 0.0,
            captured_at=captured_at or datetime.fromtimestamp(0, UTC),
            frames=tuple(map(_frame, frames, jpegs)),
            video=None if video is None else _bytes(video),
        )


def _frame(said: Mapping[str, Any], jpeg: object) -> EncodedFrame:
    media_time, width, height = (said[name] for name in _FRAME)
    if not math.isfinite(media_time) or min(width, height) < 0:
        raise ValueError(f"a picture of {width} x {height} at {media_time} s")
    return EncodedFrame(float(media_time), _bytes(jpeg), int(width), int(height))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"a picture is {type(value).__name__}, not bytes")
    return value


def _places(table: pa.Table, footer: Footer) -> dict[int, tuple[int, int]]:
    """The row group, and the row in it, of each sample that has pictures: the last of several."""
    if "frames" not in table.column_names:
        raise ValidationError("the recording is damaged: it has no column frames")
    frames = table.column("frames")
    if frames.null_count == len(frames):  # of any type, where another program wrote it
        return {}
    try:
        has = pc.list_value_length(frames).fill_null(0).to_numpy() > 0
        own = pc.not_equal(table.column("kind").cast(pa.string()), "later")
        rows = np.flatnonzero(has & own.fill_null(False).to_numpy())
        samples = table.column("sample").cast(pa.int64()).to_numpy()[rows]
    except (pa.ArrowException, KeyError) as error:
        raise ValidationError(f"column frames holds {frames.type}, no pictures: {error}") from None
    firsts = np.cumsum([0, *footer.rows])
    groups = np.searchsorted(firsts, rows, "right") - 1
    places = zip(groups.tolist(), (rows - firsts[groups]).tolist(), strict=True)
    return dict(zip(samples.tolist(), places, strict=True))
