"""Decoded frames as the encoder takes them: upright, YUV 4:2:0, in their own colours."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from overshoot_nb.capture.picture import Orientation, Orientations
from overshoot_nb.encoder import Scaler, upright

__all__ = ["ENCODER", "X264", "UprightFrames", "add_h264"]

ENCODER = "libx264"
# The picture has been encoded once before: at crf 18 no eye sees that it was again, and what
# captions change is all that is seen. Of x264's presets "veryfast" is the knee on the machines that
# notebooks run on: "ultrafast" takes half the time for files twice as large (no B-frames, no
# CABAC), and "medium" takes three times as long to make them a tenth smaller.
X264 = {"preset": "veryfast", "crf": "18"}
_PLANAR = ("yuv420p", "yuvj420p")
_RGB, _BT601 = 0, 6  # AVColorSpace


class UprightFrames:
    """Makes frames ready, one after the other; the pixels of most need no change.

    Turns and mirrors that players would do are done, so that captions stand upright everywhere;
    odd sides lose their last line.

    Args:
        size: width and height that all frames get; None: the first one's.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size
        self._orientations = Orientations()
        self._scaler = Scaler()

    def ready(self, frame: Any) -> Any:
        """The frame for the encoder; its time is the caller's to set."""
        turn = self._orientations.of(frame)
        ready = frame
        if frame.format.name not in _PLANAR:
            ready = self._scaler(frame, frame.width, frame.height, "yuv420p")
        size = (ready.height, ready.width) if turn.rotation % 180 else (ready.width, ready.height)
        even = max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)
        if turn != Orientation() or even != size:
            ready = _turned(ready, turn, even)
        self._size = self._size or even
        if self._size != even:
            # Some recordings change their size on the way; a track has one.
            ready = self._scaler(ready, *self._size, ready.format.name)
        # Encoders take the type of the decoded picture for a wish.
        ready.pict_type = PictureType.NONE
        return ready

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
    turned.colorspace, turned.color_range = frame.colorspace, frame.color_range
    for name in ("color_primaries", "color_trc"):
        if (value := getattr(frame, name, None)) is not None:
            setattr(turned, name, value)
    for source, target in zip(frame.planes, turned.planes, strict=True):
        pixels = _pixels(target)
        cut = upright(_pixels(source), *turn)[: pixels.shape[0], : pixels.shape[1]]
        pixels[: cut.shape[0], : cut.shape[1]] = cut
    return turned


def _pixels(plane: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
