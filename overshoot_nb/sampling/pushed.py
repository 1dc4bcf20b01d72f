"""Frames that come from memory: pushed by the program, or an iterator of arrays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

import av
import numpy as np

from overshoot_nb.errors import SourceError
from overshoot_nb.sources.kinds import ArraySource
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.support.validation import exact

from .decoding import Near, Shown
from .opening import VideoInfo
from .sampler import Sampler

_MICROSECOND = Fraction(1, 1_000_000)
_FORMATS = {3: "rgb24", 4: "rgba"}


class PushedCapture:
    """Frames on the clock of whoever pushes them; the first is time zero.

    A tick's frame is given when the tick's time comes: it does not wait for the next push.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self._stop = threading.Event()
        self._changed = threading.Event()
        self.ending = ""
        self.reconnections = 0
        self.lost_before = 0

    def open(self) -> VideoInfo:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        return VideoInfo(self.source.width, self.source.height, "raw")

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        source = self.source
        sampler.bind(_MICROSECOND, _MICROSECOND / 2)  # times are rounded
        frame: Any = None
        zero = 0.0
        captured_at: datetime | None = None
        start = 0  # of the frame on screen
        asked = -1  # ticks up to here were served
        self.lost_before = source.begin()
        while not self._stop.is_set():
            due = sampler.due(asked) if frame is not None else 0
            pushed = source.next_frame(zero + due * 1e-6 if frame is not None else None)
            if pushed is None:
                if self._stop.is_set():
                    break
                if source.closed:
                    self.ending = f"the frame source was closed at {start * 1e-6:.1f} s"
                    return
                if self._changed.is_set():
                    self._changed.clear()  # another tick may be due first
                elif frame is not None:
                    asked = due
                    yield Shown(frame, start, due + 1, _MICROSECOND, captured_at=captured_at)
                continue
            if frame is None:
                zero = pushed.time
            at = round((pushed.time - zero) * 1e6)
            if frame is not None and sampler.wants(max(start, asked + 1), at):
                yield Shown(frame, start, at, _MICROSECOND, captured_at=captured_at)
            frame = av.VideoFrame.from_ndarray(
                pushed.pixels, format=_FORMATS[pushed.pixels.shape[2]]
            )
            start, asked, captured_at = at, at - 1, pushed.captured_at
        self.ending = f"stopped at {start * 1e-6:.1f} s"

    def sampler_changed(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._changed.set()
        self.source.wake()

    def interrupt(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()
        self.source.wake()

    def close(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`. The source stays the caller's."""
        self.interrupt()
        self.source.end()


class ArrayCapture:
    """An iterator of arrays; frame i is shown from ``i / fps``."""

    def __init__(self, source: ArraySource) -> None:
        self.source = source
        self._given: Any = source.frames
        self._length: int | None = None
        self._frames: Iterator[Any] | None = None
        self._fps = exact(source.fps)
        self._head: list[Any] = []
        self._stop = threading.Event()
        self.ending = ""
        self.reconnections = 0
        self.lost_before = 0

    def open(self) -> VideoInfo:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        if self._frames is None:
            # Here, in the worker's thread: what a caller's iterable does may take a while.
            frames = self._given
            if isinstance(frames, np.ndarray) and frames.ndim == 3 and frames.shape[2] in _FORMATS:
                frames = [frames]  # one picture, not a row of grey ones
            self._length = len(frames) if hasattr(frames, "__len__") else None
            self._frames = iter(frames)
        if not self._head:
            self._head.extend(self._next(0))
        height, width = self._head[0].shape[:2] if self._head else (0, 0)
        duration = None if self._length is None else float(self._length / self._fps)
        return VideoInfo(width, height, "raw", float(self._fps), duration)

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        unit = 1 / self._fps
        sampler.bind(unit)
        at = 0
        while not self._stop.is_set():
            head = self._head or list(self._next(at))
            self._head = []
            if not head:
                self.ending = f"end of the frames at {float(at * unit):.1f} s"
                return
            if sampler.wants(at, at + 1):
                pixels = head[0]
                form = "gray" if pixels.ndim == 2 else _FORMATS[pixels.shape[2]]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form)
                yield Shown(frame, at, at + 1, unit)
            at += 1
        self.ending = f"stopped at {float(at * unit):.1f} s"

    def sampler_changed(self) -> None:
        """See ``Capture``. It is asked again at the next frame."""

    def interrupt(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()

    def close(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()

    def _next(self, at: int) -> Iterator[Any]:
        assert self._frames is not None
        for pixels in self._frames:
            shape = getattr(pixels, "shape", None)
            usable = (
                isinstance(pixels, np.ndarray)
                and pixels.dtype == np.uint8
                and pixels.size > 0
                and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in _FORMATS))
            )
            if not usable:
                kind = type(pixels).__name__ if shape is None else f"{pixels.dtype} {shape}"
                raise SourceError(
                    f"frames in memory: frame {at} is {kind}; expected a uint8 array of shape "
                    "(h, w), (h, w, 3) or (h, w, 4)"
                )
            yield pixels
            return
