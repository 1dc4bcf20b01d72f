"""Pictures made small enough to stand in a saved notebook by the dozen."""

from __future__ import annotations

import math

import av
import numpy as np
import simplejpeg

from overshoot_nb.sampling.encoder import Scaler
from overshoot_nb.types import EncodedFrame

#: How wide one is shown, in the page's pixels; it has half as many again, for finer screens.
SHOWN_WIDTH = 144
WIDTH = SHOWN_WIDTH * 3 // 2
#: As tall as wide at most, so that an upright video does not stretch the rows.
HEIGHT = WIDTH
#: One is never larger.
THUMBNAIL_BYTES = 12_000
#: Tried one after the other until the bytes suffice; the last is the end of it.
_QUALITIES = (70, 50, 30, 10)
#: Of a clip so many frames are shown, in the order of their time, so many in a line.
_CLIP_FRAMES = 4
_CLIP_COLUMNS = 2


def thumbnail(frames: tuple[EncodedFrame, ...]) -> EncodedFrame | None:
    """A frame, or the first, last and some frames between them of a clip, as one small JPEG.

    None where there is none, or none that can be read: what was answered is shown all the same.
    """
    try:
        return _sheet(frames) if frames else None
    except (ValueError, ZeroDivisionError):  # what somebody gave as JPEG bytes may be anything
        return None


def _sheet(frames: tuple[EncodedFrame, ...]) -> EncodedFrame:
    count = min(len(frames), _CLIP_FRAMES)
    step = (len(frames) - 1) / max(count - 1, 1)
    chosen = [frames[round(k * step)] for k in range(count)]
    across = 1 if count == 1 else _CLIP_COLUMNS
    scaler = Scaler()
    tiles = [_tile(frame, scaler, WIDTH // across, HEIGHT // across) for frame in chosen]
    height, width = np.max([tile.shape[:2] for tile in tiles], axis=0)
    sheet = np.zeros((height * math.ceil(count / across), width * across, 3), np.uint8)
    for k, tile in enumerate(tiles):
        y, x = k // across * height, k % across * width
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    for quality in _QUALITIES:
        data: bytes = simplejpeg.encode_jpeg(sheet, quality, "BGR", "420")
        if len(data) <= THUMBNAIL_BYTES:
            break
    return EncodedFrame(frames[0].media_time, data, sheet.shape[1], sheet.shape[0])


def _tile(frame: EncodedFrame, scaler: Scaler, width: int, height: int) -> np.ndarray:
    # A JPEG decodes to an eighth, a quarter... of its size at a fraction of the cost.
    scale = min(1.0, width / frame.width, height / frame.height)
    w, h = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = simplejpeg.decode_jpeg(frame.data, "BGR", min_width=w, min_height=h)
    decoded = av.VideoFrame.from_ndarray(picture, "bgr24")
    small: np.ndarray = scaler(decoded, w, h, "bgr24").to_ndarray()
    return small
