"""What a decoded frame needs before it can be shown: its rotation, and whole lines."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import av.error
import av.filter

__all__ = ["Rotations", "deinterlaced", "pixel_aspect"]


class Rotations:
    """Degrees (0, 90, 180, 270) to turn frames counter-clockwise so that they are upright."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], int] = {}

    def of(self, frame: Any) -> int:
        """The rotation of one frame."""
        turn = getattr(frame, "rotation", None)
        if turn is not None:
            return round(int(turn) / 90) * 90 % 360
        # PyAV before 14.1. A frame and its side data refer to each other, which keeps whole
        # pictures until the next collection of garbage: one frame of each size is looked at.
        size = frame.width, frame.height
        if size not in self._by_size:
            self._by_size[size] = _matrix_rotation(frame.side_data.get("DISPLAYMATRIX"))
        return self._by_size[size]


def _matrix_rotation(side: Any | None) -> int:
    if side is None:
        return 0
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side)[:36])
    if not (a or c) or not (b or d):
        return 0
    # As av_display_rotation_get does it.
    turned = -math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c)))
    return round(turned / 90) * 90 % 360


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(aspect) if aspect and aspect > 0 else Fraction(1)


def deinterlaced(frame: Any, stream: Any) -> Any:
    """The frame with both its fields brought to one moment; as it is where that cannot be done.

    Only chosen frames pass here, alone: the filter sees no neighbours and works within the frame.
    """
    graph = av.filter.Graph()
    try:
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or stream.time_base,
        )
        filters = [source, graph.add("yadif", "mode=send_frame:deint=all"), graph.add("buffersink")]
        for left, right in pairwise(filters):
            left.link_to(right)
        graph.configure()
        graph.push(frame)
        graph.push(None)
        return graph.pull()
    except (av.error.FFmpegError, ValueError):
        return frame
