"""Pictures that no stream took as frames like those that streams send."""

from __future__ import annotations

import io
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import simplejpeg

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.encoder import FrameEncoder, fit
from overshoot_nb.sampling.opening import closing_input
from overshoot_nb.sampling.picture import Orientation, Orientations, image_over_white, over_white
from overshoot_nb.support.redaction import display_url, hidden, is_url
from overshoot_nb.types import EncodedFrame


def is_pillow_image(what: object) -> bool:
    """Whether it is an image of Pillow, which need not be installed."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(what, pillow.Image)


class ImageEncoder:
    """Arrays, Pillow images, bytes and paths of image files as JPEG frames.

    A JPEG that fits into what streams send and needs no turning stays as it is, byte for byte.
    """

    def __init__(self) -> None:
        self._frames = FrameEncoder()

    def frame(self, picture: object, name: str) -> EncodedFrame:
        """A picture as a frame at media time 0.

        Args:
            picture: what holds it.
            name: what to call it in errors.

        Raises:
            ValidationError: it is no picture, or a broken one.
            OSError: its file cannot be read.
        """
        picture = hidden(picture)
        if isinstance(picture, bytes | bytearray | memoryview):
            return self._from_bytes(bytes(picture), name)
        if isinstance(picture, str | os.PathLike):
            if is_url(str(picture)):
                raise ValidationError(
                    f"{name} is a URL ({display_url(str(picture))}): download it, and give the "
                    "path of the file"
                )
            path = Path(os.fsdecode(picture))
            return self._from_bytes(path.read_bytes(), f"{name} ({path.name})")
        if isinstance(picture, np.ndarray):
            return self._from_array(picture, name)
        if is_pillow_image(picture):
            from PIL import ImageOps

            image: Any = picture
            upright = image_over_white(ImageOps.exif_transpose(image))
            return self._from_array(np.asarray(upright), name)
        raise ValidationError(
            f"{name} is no picture, but {type(picture).__name__}: give samples, JPEG bytes, Pillow "
            "images, uint8 RGB arrays or paths of image files"
        )

    def _from_bytes(self, data: bytes, name: str) -> EncodedFrame:
        # Cameras say in the Exif data which side is up.
        if simplejpeg.is_jpeg(data) and b"Exif\0\0" not in data[:65536]:
            try:
                height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            except ValueError as error:
                raise ValidationError(f"{name} is a broken JPEG: {error}") from None
            if fit(width, height, Fraction(1), 0, config.MAX_SIZE) == (width, height):
                return EncodedFrame(0.0, data, width, height)
        return self._encoded(*_decoded(data, name))

    def _from_array(self, pixels: np.ndarray[Any, Any], name: str) -> EncodedFrame:
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        form = "gray" if pixels.ndim == 2 else _FORMATS.get(pixels.shape[2:])
        if pixels.dtype != np.uint8 or form is None or not pixels.size:
            raise ValidationError(
                f"{name} is an array of shape {pixels.shape} and type {pixels.dtype}: give uint8 "
                "RGB (h, w, 3), RGBA (h, w, 4) or grey (h, w)"
            )
        return self._encoded(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), form), Orientation()
        )

    def _encoded(self, frame: Any, turn: Orientation) -> EncodedFrame:
        picture = self._frames.picture(frame, turn.rotation, mirrored=turn.mirrored)
        return self._frames.encode(picture, 0.0)


_FORMATS = {(3,): "rgb24", (4,): "rgba"}


def _decoded(data: bytes, name: str) -> tuple[Any, Orientation]:
    """The picture in the bytes of an image file, and how it is to be turned."""
    try:
        with closing_input(av.open(io.BytesIO(data), "r")) as container:
            if not container.format.name.endswith("_pipe"):  # as FFmpeg calls single images
                raise ValidationError(
                    f"{name} is a video: watch it with client.streams.create(...) or analyze(...) "
                    "first, and give the stream"
                )
            frame: Any = next(container.decode(video=0))
    except (av.error.FFmpegError, IndexError, StopIteration) as error:
        raise ValidationError(f"{name} cannot be read as an image: {error}") from None
    return over_white(frame), Orientations().of(frame)
