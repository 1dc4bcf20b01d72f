"""What a decoded frame needs before it can be shown: its orientation, and whole lines."""

from __future__ import annotations

import functools
import math
import struct
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import av
import av.error
import av.filter
import av.sidedata.sidedata
import av.video.reformatter
import numpy as np

#: Width and height of the copy of a frame at whose side data is looked.
_SMALL = 16
#: Whether FFmpeg's filters take up the pixel aspect of each frame.
_TELLS_ASPECT = av.library_versions["libavfilter"][0] >= 11
#: Kinds of side data that FFmpeg may know beyond those of PyAV.
_UNKNOWN_KINDS = 16


class Orientation(NamedTuple):
    """What is to be done to a frame so that it is upright: mirror it first, then turn it.

    Attributes:
        rotation: degrees (0, 90, 180, 270) to turn it counter-clockwise.
        mirrored: whether left and right are to be exchanged before.
    """

    rotation: int = 0
    mirrored: bool = False


class Orientations:
    """How frames are to be turned and mirrored, as the display matrix of each says."""

    def __init__(self) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._threads: dict[str, int] = {"threads": 1}
        self._known_alone: av.filter.Graph | None = None

    def of(self, frame: Any) -> Orientation:
        """The orientation of one frame."""
        try:
            # A frame and its side data refer to each other, which keeps the pixels until the next
            # collection of garbage: those of a copy of a few pixels do no harm.
            small = self.small(frame)
            try:
                side = small.side_data
            except ValueError:  # data of a kind that this PyAV does not know, such as Exif
                side = self._of_known_kinds(small).side_data
            return _orientation(side.get("DISPLAYMATRIX"))
        except (av.error.FFmpegError, ValueError):
            # Pixels that cannot be scaled. A turn alone says nothing of a mirror.
            turn = int(getattr(frame, "rotation", 0))
            return Orientation(round(turn / 90) * 90 % 360 if abs(turn) <= 360 else 0)

    def small(self, frame: Any) -> Any:
        """A copy of a few grey pixels, with all that is said beside those of the frame."""
        try:
            return self._reformatter.reformat(
                frame, _SMALL, _SMALL, "gray", interpolation="POINT", **self._threads
            )
        except TypeError:  # an older PyAV
            if not self._threads:
                raise
            self._threads = {}
            return self.small(frame)

    def _of_known_kinds(self, small: Any) -> Any:
        if self._known_alone is None:
            kinds: Any = av.sidedata.sidedata.Type
            newest = max(kind.value for kind in kinds)
            unknown = range(newest + 1, newest + 1 + _UNKNOWN_KINDS)
            self._known_alone = _graph(*(("sidedata", f"mode=delete:type={n}") for n in unknown))
        return _passed(self._known_alone, small)


def _graph(*filters: tuple[str, str]) -> Any:
    """A chain of filters for small copies."""
    graph = av.filter.Graph()
    gray, unit = av.VideoFormat("gray"), Fraction(1)
    chain = [graph.add_buffer(width=_SMALL, height=_SMALL, format=gray, time_base=unit)]
    chain += [graph.add(name, arguments) for name, arguments in filters]
    chain.append(graph.add("buffersink"))
    for left, right in pairwise(chain):
        left.link_to(right)
    graph.configure()
    return graph


def _passed(graph: Any, small: Any) -> Any:
    small.pts = None
    graph.push(small)
    return graph.pull()


def _orientation(side: Any | None) -> Orientation:
    """Of the nine numbers of a display matrix. One that squeezes all to a line says nothing."""
    if side is None:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side)[:36])
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    if not (a or c) or not (b or d):
        return Orientation()
    # As av_display_rotation_get does it.
    turned = -math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c)))
    return Orientation(round(turned / 90) * 90 % 360, mirrored)


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(aspect) if aspect and aspect > 0 else Fraction(1)


class Aspects:
    """The shape of the pixels of each frame, which may change on the way.

    Args:
        stream: what is decoded. What its container says of all of it holds, where that is not
            what the first pictures say themselves.
        orientations: of the same frames.
    """

    def __init__(self, stream: Any, orientations: Orientations) -> None:
        self._context = stream.codec_context
        self._orientations = orientations
        self._aspect = pixel_aspect(stream)
        self._said = self._context.sample_aspect_ratio  # by the pictures so far
        self._fixed = bool(self._said) and self._said != (stream.sample_aspect_ratio or self._said)
        self._graph: Any = None

    def of(self, frame: Any) -> Fraction:
        """Width of a pixel over its height."""
        said = self._context.sample_aspect_ratio
        if said == self._said or self._fixed:
            return self._aspect
        # What the decoder says is about the packet that it read last; this frame may be older.
        aspect = Fraction(said) if said and said > 0 else Fraction(1)
        if not _TELLS_ASPECT:  # a few frames too soon
            self._said, self._aspect = said, aspect
            return aspect
        try:
            if self._graph is None:
                wide = f"w='clip(round({_SMALL}*{_SMALL}*sar),1,{_SMALL**3})':h=1"
                self._graph = _graph(("scale", f"{wide}:eval=frame:flags=neighbor"))
            width = _passed(self._graph, self._orientations.small(frame)).width
        except (av.error.FFmpegError, ValueError):
            width = round(_SMALL * _SMALL * aspect)
        seen = Fraction(width, _SMALL * _SMALL)
        if abs(seen - self._aspect) < abs(seen - aspect):
            return self._aspect
        self._said, self._aspect = said, aspect
        return aspect


@functools.cache
def _may_be_clear(pixel_format: str) -> bool:
    """Whether pixels of a format may be transparent."""
    form = av.VideoFormat(pixel_format)
    return form.has_palette or any(part.is_alpha for part in form.components)


def over_white(frame: Any) -> Any:
    """The frame on a white ground, where it is transparent; else as it is.

    What lies under transparent pixels is black in most files: dark text on it would be gone.
    """
    if not _may_be_clear(frame.format.name):
        return frame
    try:
        pixels = frame.to_ndarray(format="rgba")
    except (av.error.FFmpegError, ValueError):  # the encoder says so, too
        return frame
    clear = 255 - pixels[..., 3:].astype(np.uint16)
    if not clear.any():
        return frame
    shares = pixels[..., :3] * (255 - clear) + 255 * clear
    flat = av.VideoFrame.from_ndarray(((shares + 127) // 255).astype(np.uint8), "rgb24")
    flat.pts = frame.pts
    if frame.time_base is not None:
        flat.time_base = frame.time_base
    return flat


def image_over_white(image: Any) -> Any:
    """The same of an image of Pillow, in mode RGB."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    from PIL import Image

    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


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
