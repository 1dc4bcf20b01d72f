"""Frames that are drawn on, as the encoder takes them: upright, YUV 4:2:0, in their colours."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from overshoot_nb.sampling.encoder import Scaler, upright
from overshoot_nb.sampling.picture import Orientation, Orientations
from overshoot_nb.sampling.sampler import NONE

#: Of a part of a file: what other tracks have is read so many seconds beyond its end.
BEYOND_SECONDS = 1
#: A caption's start is rounded to microseconds; the frame it is about is at that very time.
ROUNDING = 1e-6

ENCODER = "libx264"
# The picture has been encoded once before: at crf 18 no eye sees that it was again, and what
# captions change is all that is seen. Of x264's presets "veryfast" is the knee on the machines that
# notebooks run on: "ultrafast" takes half the time for files twice as large (no B-frames, no
# CABAC), and "medium" takes three times as long to make them a tenth smaller.
X264 = {"preset": "veryfast", "crf": "18"}
_PLANAR = ("yuv420p", "yuvj420p")
_RGB, _BT601 = 0, 6  # AVColorSpace
_FULL_RANGE = 2  # AVColorRange


class Span:
    """A sampler that wants every frame that comes on screen within a span.

    Args:
        start, end: media time in seconds.
        beyond: called once nothing more can be of it.
    """

    def __init__(self, start: float, end: float, beyond: Callable[[], None]) -> None:
        self._start, self._end, self._beyond = start, end, beyond
        self.bind(Fraction(1))

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See ``Sampler``; it has no ticks that a frame could miss."""
        self._from = ceil(Fraction(self._start - ROUNDING) / time_base)
        self._to = self._last = float("inf")
        if self._end < float("inf"):
            self._to = ceil(Fraction(self._end) / time_base)
            # Frames are decoded before they are shown.
            self._last = ceil(Fraction(self._end + BEYOND_SECONDS) / time_base)

    def wants(self, start: int, end: int) -> bool:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        if start >= self._last:
            self._beyond()
        return self._from <= start < self._to

    def due(self, after: int) -> int:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        return after + 1


class UprightFrames:
    """Makes frames ready, one after the other; the pixels of most need no change.

    Turns and mirrors that players would do are done, so that captions stand upright everywhere;
    odd sides lose their last line. A frame of another shape, for some recordings change theirs on
    the way, is fitted into the track's, with black beside it.

    Args:
        size: width and height that all frames get; None: the first one's.
        aspect: width of a pixel of the track over its height, upright.
    """

    def __init__(self, size: tuple[int, int] | None = None, aspect: Fraction = Fraction(1)) -> None:
        self._size = size
        self._aspect = aspect
        self._orientations = Orientations()
        self._scaler = Scaler()

    def ready(
        self, frame: Any, turn: Orientation | None = None, aspect: Fraction | None = None
    ) -> Any:
        """The frame for the encoder; its time is the caller's to set.

        Args:
            frame: as decoded.
            turn: how it is to be turned; None: looked up.
            aspect: width of a pixel over its height as decoded; None: the track's.
        """
        turn = turn if turn is not None else self._orientations.of(frame)
        ready = frame
        if frame.format.name not in _PLANAR:
            ready = self._scaler(frame, frame.width, frame.height, "yuv420p")
        turned = turn.rotation % 180
        size = (ready.height, ready.width) if turned else (ready.width, ready.height)
        even = max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)
        if turn != Orientation() or even != size:
            ready = _turned(ready, turn, even)
        self._size = self._size or even
        if aspect is None:
            aspect = self._aspect
        elif turned:
            aspect = 1 / aspect
        if self._size != even or self._aspect != aspect:
            ready = self._fitted(ready, aspect / self._aspect)
        # Encoders take the type of the decoded picture for a wish.
        ready.pict_type = PictureType.NONE
        return ready

    def _fitted(self, frame: Any, wider: Fraction) -> Any:
        """The frame within the track's size; its pixels are so many times as wide."""
        assert self._size is not None
        width, height = self._size
        scale = min(width / (frame.width * wider), Fraction(height, frame.height))
        w = min(width, max(2, round(frame.width * wider * scale / 2) * 2))
        h = min(height, max(2, round(frame.height * scale / 2) * 2))
        fitted = self._scaler(frame, w, h, frame.format.name)
        if (w, h) == self._size:
            return fitted
        framed = av.VideoFrame(width, height, frame.format.name)
        _dress(framed, frame)
        full = frame.format.name == "yuvj420p" or int(frame.color_range) == _FULL_RANGE
        left, top = (width - w) // 4 * 2, (height - h) // 4 * 2
        for number, (source, target) in enumerate(zip(fitted.planes, framed.planes, strict=True)):
            pixels, half = _pixels(target), 2 if number else 1
            pixels[:] = 128 if number else 0 if full else 16
            picture = _pixels(source)
            y, x = top // half, left // half
            pixels[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        return framed

    def upright_aspect(self, frame: Any, aspect: Fraction) -> Fraction:
        """Width of a pixel over its height, once the frame is upright."""
        return 1 / aspect if self._orientations.of(frame).rotation % 180 else aspect


def add_h264(
    output: Any, first: Any, unit: Fraction, rate: Any, aspect: Fraction, threads: int
) -> Any:
    """The video track of the output.

    Args:
        first: a frame as it will be encoded; its size, format and colours are the track's.
        unit: of timestamps, in seconds: the source's own, so that every time is kept exactly.
        rate: frames a second, about.
        aspect: width of a pixel over its height.
        threads: 0 is one for each core, which costs x264 next to nothing in quality.
    """
    stream = output.add_stream(ENCODER, rate=rate, options=dict(X264))
    stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
    context = stream.codec_context
    context.time_base = unit
    context.thread_count = threads
    context.sample_aspect_ratio = aspect
    space = int(first.colorspace)
    context.colorspace = _BT601 if space == _RGB else space
    context.color_range = int(first.color_range)
    for name in ("color_primaries", "color_trc"):
        if (value := getattr(first, name, None)) is not None:  # older PyAV does not say
            setattr(context, name, int(value))
    stream.time_base = unit
    return stream


def _turned(frame: Any, turn: Orientation, size: tuple[int, int]) -> Any:
    """The frame made upright, cut to ``size``; plane by plane."""
    turned = av.VideoFrame(*size, frame.format.name)
    _dress(turned, frame)
    for source, target in zip(frame.planes, turned.planes, strict=True):
        pixels = _pixels(target)
        cut = upright(_pixels(source), *turn)[: pixels.shape[0], : pixels.shape[1]]
        pixels[: cut.shape[0], : cut.shape[1]] = cut
    return turned


def _dress(frame: Any, other: Any) -> None:
    """Gives a frame the colours of another."""
    frame.colorspace, frame.color_range = other.colorspace, other.color_range
    for name in ("color_primaries", "color_trc"):
        if (value := getattr(other, name, None)) is not None:
            setattr(frame, name, value)


def _pixels(plane: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
