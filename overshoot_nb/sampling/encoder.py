"""Frames become bytes, once: the same bytes go to the model, the frame store and the screen."""

from __future__ import annotations

import io
from datetime import datetime
from fractions import Fraction
from typing import Any

import av
import av.video.reformatter
import numpy as np
import numpy.typing as npt
import simplejpeg

from overshoot_nb import config
from overshoot_nb.support.validation import check_jpeg_quality, check_max_size
from overshoot_nb.types import EncodedFrame

Picture = npt.NDArray[np.uint8]


def fit(
    width: int, height: int, aspect: Fraction, rotation: int, max_size: tuple[int, int]
) -> tuple[int, int]:
    """Size of the upright picture, never enlarged beyond its display size.

    Args:
        width, height: of the coded picture.
        aspect: width of a pixel over its height.
        rotation: degrees to turn it, a multiple of 90.
        max_size: width and height to fit it into.
    """
    w, h = Fraction(width), Fraction(height)
    if aspect > 1:
        w *= aspect
    else:
        h /= aspect
    if rotation % 180:
        w, h = h, w
    scale = min(Fraction(1), max_size[0] / w, max_size[1] / h)
    return max(1, round(w * scale)), max(1, round(h * scale))


def upright(pixels: Picture, rotation: int, mirrored: bool) -> Picture:
    """A view of a picture, or of a plane of it, with its upper side up.

    Args:
        pixels: the first axis goes down, the second to the right.
        rotation: degrees to turn it counter-clockwise, a multiple of 90.
        mirrored: whether left and right are exchanged first.
    """
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, rotation // 90)


class FrameEncoder:
    """Decoded frames to upright JPEGs.

    Args:
        max_size: width and height in pixels to fit pictures into; they are never enlarged.
        quality: JPEG quality, 1 to 100.

    Raises:
        ValidationError: a parameter is out of range.
    """

    def __init__(
        self,
        max_size: tuple[int, int] = config.MAX_SIZE,
        quality: int = config.JPEG_QUALITY,
    ) -> None:
        self._max_size = check_max_size(max_size)
        check_jpeg_quality(quality)
        self._quality = quality
        # One for all frames: a new one for each costs half as much again.
        self._scaler = Scaler()

    def picture(
        self,
        frame: Any,
        rotation: int = 0,
        aspect: Fraction = Fraction(1),
        mirrored: bool = False,
    ) -> Picture:
        """The upright picture at its final size, BGR, shape (h, w, 3)."""
        width, height = fit(frame.width, frame.height, aspect, rotation, self._max_size)
        if rotation % 180:
            width, height = height, width
        picture: Picture = self._scaler(frame, width, height, "bgr24").to_ndarray()
        if rotation or mirrored:
            picture = np.ascontiguousarray(upright(picture, rotation, mirrored))
        return picture

    def takes(self, encoded: EncodedFrame) -> bool:
        """Whether a JPEG can go on as it is: it fits."""
        return encoded.width <= self._max_size[0] and encoded.height <= self._max_size[1]

    def encode(
        self, picture: Picture, media_time: float, captured_at: datetime | None = None
    ) -> EncodedFrame:
        """A picture as JPEG."""
        data = simplejpeg.encode_jpeg(picture, self._quality, "BGR", "420")
        height, width = picture.shape[:2]
        return EncodedFrame(media_time, data, width, height, captured_at)


class ClipEncoder:
    """Pictures to one MP4, each encoded as it comes.

    Args:
        width, height: of the pictures; odd sizes lose their last column or row. A picture of
            another shape is fitted into them, with black beside it.
        fps: positions a second.
    """

    def __init__(self, width: int, height: int, fps: int) -> None:
        self._file = io.BytesIO()
        self._container: Any = av.open(self._file, "w", format="mp4")
        # Ultrafast at crf 23 is the best trade of CPU for bytes at this length.
        self._stream = self._container.add_stream(
            "libx264", rate=fps, options={"preset": "ultrafast", "crf": "23"}
        )
        self._stream.width = max(2, width // 2 * 2)
        self._stream.height = max(2, height // 2 * 2)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._shape = height, width, 3
        self._unit = Fraction(1, fps)
        self._stream.codec_context.time_base = self._unit
        self._scaler = Scaler()

    def add(self, picture: Picture, position: int) -> None:
        """Shows a picture from ``position / fps`` on; positions grow."""
        size = self._stream.width, self._stream.height
        if picture.shape != self._shape:
            picture = self._framed(picture)
        frame = self._scaler(av.VideoFrame.from_ndarray(picture, "bgr24"), *size, "yuv420p")
        frame.pts, frame.time_base = position, self._unit
        self._container.mux(self._stream.encode(frame))

    def _framed(self, picture: Picture) -> Picture:
        height, width, _ = self._shape
        scale = min(width / picture.shape[1], height / picture.shape[0])
        w = min(width, max(1, round(picture.shape[1] * scale)))
        h = min(height, max(1, round(picture.shape[0] * scale)))
        frame = av.VideoFrame.from_ndarray(picture, "bgr24")
        framed = np.zeros(self._shape, np.uint8)
        left, top = (width - w) // 2, (height - h) // 2
        # With a context of its own: this is rare.
        framed[top : top + h, left : left + w] = Scaler()(frame, w, h, "bgr24").to_ndarray()
        return framed

    def finish(self) -> bytes:
        """The whole MP4."""
        self._container.mux(self._stream.encode(None))
        self.discard()
        return self._file.getvalue()

    def discard(self) -> None:
        """Lets go of the encoder. Idempotent."""
        self._container.close()


class Scaler:
    """One kept swscale context, on this thread alone where the library lets that be said.

    Called with a frame, the width, height and format it is to have, and more of what PyAV's
    ``reformat`` takes; gives the frame itself where there is nothing to do.
    """

    def __init__(self) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._threads: dict[str, int] = {"threads": 1}

    def __call__(self, frame: Any, width: int, height: int, form: str, **options: Any) -> Any:
        try:
            return self._reformatter.reformat(
                frame, width, height, form, interpolation=_BILINEAR, **options, **self._threads
            )
        except TypeError:
            if not self._threads:
                raise
            self._threads = {}
            return self(frame, width, height, form, **options)


_BILINEAR = "BILINEAR"
