"""``FrameStore``: the sampled pictures of a stream by sample index, bounded in bytes."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

from . import config
from .errors import MissingDependencyError, SampleNotKeptError
from .types import EncodedFrame, Mode, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FrameStore", "StoredSample"]

#: A clip is shown as a strip of at most so many of its frames, each about so many pixels high.
_STRIP_FRAMES = 12
_STRIP_HEIGHT = 180
_STRIP_QUALITY = 85


class StoredSample:
    """A sample and its pictures, shown as a picture where a notebook shows its value.

    Attributes:
        sample: the sample itself, with all that is known of it.
    """

    __slots__ = ("sample",)

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    @property
    def index(self) -> int:
        """The sample's index: column ``sample`` of the results."""
        return self.sample.index

    @property
    def mode(self) -> Mode:
        """``frame`` or ``clip``."""
        return self.sample.mode

    @property
    def media_time(self) -> float:
        """Time in the video, seconds since its first frame."""
        return self.sample.media_time

    @property
    def captured_at(self) -> datetime:
        """UTC wall clock when the sample was taken."""
        return self.sample.captured_at

    @property
    def frames(self) -> tuple[EncodedFrame, ...]:
        """The frame, or the frames of the clip in time order; ``.data`` is JPEG bytes."""
        return self.sample.frames

    @property
    def video(self) -> bytes | None:
        """The clip as one MP4 where the model was sent one, else None."""
        return self.sample.video

    @property
    def nbytes(self) -> int:
        """Bytes of the encoded pictures."""
        return self.sample.nbytes

    def image(self, i: int = 0) -> Image:
        """A frame of the sample as a Pillow image; -1 is the last of a clip.

        Raises:
            MissingDependencyError: Pillow is not installed.
            IndexError: the sample has no such frame.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise MissingDependencyError(
                "image() needs Pillow: pip install pillow (.frames has the JPEG bytes without it)"
            ) from error
        if not -len(self.frames) <= i < len(self.frames):
            raise IndexError(f"sample {self.index} has {len(self.frames)} frames, no frame {i}")
        return Image.open(BytesIO(self.frames[i].data))

    def _repr_jpeg_(self) -> bytes | None:
        if not self.frames:
            return None
        return self.frames[0].data if len(self.frames) == 1 else _strip(self.frames)

    def __repr__(self) -> str:
        size = f", {self.frames[0].width}x{self.frames[0].height}" if self.frames else ""
        frames = "1 frame" if len(self.frames) == 1 else f"{len(self.frames)} frames"
        return f"<sample {self.index} at {self.media_time:g} s: {frames}{size}>"


class FrameStore(Mapping[int, StoredSample]):
    """The newest sampled pictures of a stream: ``store[index]``.

    A mapping from sample index (column ``sample`` of the results) to :class:`StoredSample`, in
    the order the samples were put. When the pictures take more than ``max_bytes``, the oldest
    samples are dropped. The bytes are those of the sample, never copied; a picture that several
    clips share counts once. Any thread may put while others read.

    Args:
        max_bytes: bytes of encoded pictures to keep; 0 keeps none. Default 256 MiB.

    Raises:
        ValueError: ``max_bytes`` is negative.
    """

    def __init__(self, max_bytes: int = config.KEEP_FRAMES_BYTES) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes={max_bytes} is negative; 0 keeps no pictures")
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._samples: dict[int, Sample] = {}
        self._holders: dict[int, int] = {}  # id of a picture's bytes -> how many hold it
        self._nbytes = 0
        self._highest = -1

    def put(self, sample: Sample) -> None:
        """Keep a sample, and drop the oldest ones where it does not fit beside them.

        One of the same index is replaced. One that is larger than ``max_bytes`` by itself is not
        kept, and drops no other.
        """
        with self._lock:
            self._highest = max(self._highest, sample.index)
            if sample.index in self._samples:
                self._drop(sample.index)
            if self.max_bytes == 0 or sample.nbytes > self.max_bytes:
                return
            self._samples[sample.index] = sample
            for data in _pictures(sample):
                holders = self._holders.get(id(data), 0)
                self._holders[id(data)] = holders + 1
                if holders == 0:
                    self._nbytes += len(data)
            while self._nbytes > self.max_bytes:
                self._drop(next(iter(self._samples)))

    @property
    def nbytes(self) -> int:
        """Bytes of the pictures kept."""
        return self._nbytes

    @property
    def latest(self) -> StoredSample | None:
        """The sample put last, None where there is none."""
        with self._lock:
            last = next(reversed(self._samples.values()), None)
        return None if last is None else StoredSample(last)

    def __getitem__(self, index: int) -> StoredSample:
        """The sample of that index.

        Raises:
            SampleNotKeptError: it was dropped, or not taken yet (also a KeyError).
        """
        with self._lock:
            sample = self._samples.get(index)
            if sample is None:
                raise SampleNotKeptError(self._why_not(index))
        return StoredSample(sample)

    def __contains__(self, index: object) -> bool:
        return index in self._samples

    def __iter__(self) -> Iterator[int]:
        with self._lock:
            return iter(list(self._samples))

    def __len__(self) -> int:
        return len(self._samples)

    def __repr__(self) -> str:
        with self._lock:
            return (
                f"FrameStore({self._kept()}; {_megabytes(self._nbytes)} of "
                f"{_megabytes(self.max_bytes)})"
            )

    # A store is itself, not its content: two of them are never the same.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _drop(self, index: int) -> None:
        for data in _pictures(self._samples.pop(index)):
            self._holders[id(data)] -= 1
            if self._holders[id(data)] == 0:
                del self._holders[id(data)]
                self._nbytes -= len(data)

    def _kept(self) -> str:
        if not self._samples:
            return "no samples"
        lowest, highest = min(self._samples), max(self._samples)
        return f"sample {lowest}" if lowest == highest else f"samples {lowest}..{highest}"

    def _why_not(self, key: object) -> str:
        try:
            index = operator.index(key)  # type: ignore[arg-type]
        except TypeError:
            return f"{key!r} is no sample index: an index is an integer, 0 or more"
        if index < 0:
            return f"no sample {index}: samples count from 0, and .latest is the newest"
        if index > self._highest:
            return f"no sample {index} yet ({self._so_far()})"
        if self.max_bytes == 0:
            return f"sample {index} was not kept: this store keeps no pictures (0 bytes)"
        return (
            f"sample {index} was dropped from the store (it keeps the last "
            f"{_megabytes(self.max_bytes)}: {self._kept()})"
        )

    def _so_far(self) -> str:
        if self._highest < 0:
            return "none was taken"
        return f"the newest is {self._highest}"


def _pictures(sample: Sample) -> Iterator[bytes]:
    for frame in sample.frames:
        yield frame.data
    if sample.video is not None:
        yield sample.video


def _megabytes(nbytes: int) -> str:
    """Bytes in binary megabytes, as the store's default is: "256 MB"."""
    megabytes = nbytes / 1024**2
    return f"{megabytes:.0f} MB" if megabytes >= 10 or nbytes == 0 else f"{megabytes:.2g} MB"


def _strip(frames: tuple[EncodedFrame, ...]) -> bytes:
    """Frames side by side as one JPEG: a few of them, evenly chosen, made smaller."""
    import numpy as np
    import simplejpeg

    count = min(len(frames), _STRIP_FRAMES)
    step = (len(frames) - 1) / max(count - 1, 1)
    shown = [frames[round(k * step)] for k in range(count)]
    # JPEG decodes to an eighth, a quarter... of its size at a fraction of the cost.
    pictures = [
        simplejpeg.decode_jpeg(f.data, min_height=min(f.height, _STRIP_HEIGHT)) for f in shown
    ]
    height = max(p.shape[0] for p in pictures)
    strip = np.hstack([np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in pictures])
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(strip), quality=_STRIP_QUALITY)
    return data
