"""Pictures of rows made small: one frame, or frames of a clip side by side."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import simplejpeg

from overshoot_nb.sampling.encoder import Picture, Scaler
from overshoot_nb.types import EncodedFrame

from .row_choice import evenly

#: Of a clip at most so many frames are shown.
STRIP_FRAMES = 8
#: A picture that is shown 200 pixels wide has so many bytes, at most, as far as JPEG can do that.
PICTURE_BYTES = 16_000
#: How wide a frame of a strip is beside a picture that stands alone.
_STRIP_SCALE = 0.6
#: Pixels for each that a page has: fewer than fine screens have, more than coarse ones.
_DENSITY = 1.5
#: An upright video is no taller than so many times the width.
_TALLEST = 1.5
#: Between the frames of a strip: so many pixels, of a colour that stands out in light and dark.
_GAP = 3
_GREY = 128
_QUALITIES = (70, 50, 30, 10)


def small_picture(frames: Sequence[EncodedFrame], width: int) -> tuple[EncodedFrame, int, int]:
    """The frame, or frames of the clip in the order of time, as one small JPEG.

    Args:
        frames: one or more.
        width: how wide a single picture is shown, in pixels of the page.

    Returns:
        The JPEG, and the width and height it is shown with.

    Raises:
        ValueError: a picture is no JPEG.
    """
    chosen = [frames[k] for k in evenly(list(range(len(frames))), STRIP_FRAMES)]
    alone = len(chosen) == 1
    shown = width if alone else max(1, round(width * _STRIP_SCALE))
    scaler = Scaler()
    tiles = [_tile(frame, scaler, round(shown * _DENSITY)) for frame in chosen]
    height = max(tile.shape[0] for tile in tiles)
    picture = np.ascontiguousarray(np.hstack([_framed(tile, height, alone) for tile in tiles]))
    budget = PICTURE_BYTES * max(1.0, (width / 200) ** 2) * (1 if alone else 2)
    for quality in _QUALITIES:
        data: bytes = simplejpeg.encode_jpeg(picture, quality, "BGR", "420")
        if len(data) <= budget:
            break
    small = EncodedFrame(chosen[0].media_time, data, picture.shape[1], picture.shape[0])
    widest = max(tile.shape[1] for tile in tiles)
    scale = min(1.0, shown / widest, shown * _TALLEST / height)  # a small frame stays small
    return small, max(1, round(small.width * scale)), max(1, round(small.height * scale))


def _framed(tile: Picture, height: int, alone: bool) -> Picture:
    """A tile as high as the others, and apart from the next one."""
    gap = 0 if alone else _GAP
    padding = ((0, height - tile.shape[0]), (0, gap), (0, 0))
    framed: Picture = np.pad(tile, padding, constant_values=_GREY)
    return framed


def _tile(frame: EncodedFrame, scaler: Scaler, width: int) -> Picture:
    # A JPEG decodes to an eighth, a quarter... of its size at a fraction of the cost.
    scale = min(1.0, width / frame.width, width * _TALLEST / frame.height)
    w, h = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    decoded = simplejpeg.decode_jpeg(frame.data, "BGR", min_width=w, min_height=h)
    tile: Picture = scaler(av.VideoFrame.from_ndarray(decoded, "bgr24"), w, h, "bgr24").to_ndarray()
    return tile
