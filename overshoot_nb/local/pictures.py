"""Data URLs become RGB pictures. Runs in the worker thread: decoding is work, too."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pybase64

from .refusals import ChatRefusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

__all__ = ["MAX_FRAMES", "MAX_PIXELS", "Attachment", "decode"]

#: Pixels of one picture, and pictures of one request (a video gives up to as many frames).
MAX_PIXELS = 40_000_000
MAX_FRAMES = 64

IMAGE_TYPES = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
VIDEO_TYPES = ("video/mp4",)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture or video of a request, not decoded yet.

    Attributes:
        url: the data URL.
        where: its place in the request, e.g. ``messages.0.content.1``, for error messages.
        video: True for a ``video_url`` part.
    """

    url: str
    where: str
    video: bool


def decode(attachments: Sequence[Attachment | Picture]) -> list[Picture]:
    """All pictures in order, as arrays of shape (height, width, 3), RGB.

    What is a picture already stays as it is.

    Raises:
        ChatRefusal: 400, naming the part that is not a picture, or is too large.
    """
    pictures: list[Picture] = []
    for attachment in attachments:
        if not isinstance(attachment, Attachment):
            pictures.append(attachment)
            continue
        kind, data = _payload(attachment)
        if attachment.video:
            pictures += _video(data, attachment.where, MAX_FRAMES - len(pictures))
        else:
            pictures.append(_image(data, IMAGE_TYPES[kind], attachment.where))
    return pictures


def _bad(where: str, problem: str, code: str = "segment_invalid") -> ChatRefusal:
    return ChatRefusal(400, f"{where}: {problem}", code, param=where)


def _payload(attachment: Attachment) -> tuple[str, bytes]:
    head, comma, encoded = attachment.url.partition(",")
    kind, _, encoding = head[len("data:") :].partition(";")
    kind = kind.strip().lower()
    allowed = VIDEO_TYPES if attachment.video else tuple(IMAGE_TYPES)
    if kind not in allowed:
        raise _bad(attachment.where, f"the type {kind!r} is not one of {', '.join(allowed)}")
    if not comma or encoding.rpartition(";")[2].strip().lower() != "base64":
        raise _bad(attachment.where, "the data URL is not base64")
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise _bad(attachment.where, f"the base64 is not valid ({error})") from None
    if not data:
        raise _bad(attachment.where, "the data URL is empty")
    return kind, data


def _too_large(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise _bad(
            where, f"{width}x{height} pixels are more than {MAX_PIXELS // 1_000_000} megapixels"
        )


def _image(data: bytes, format_name: str, where: str) -> Picture:
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=(format_name,)) as image:
            _too_large(*image.size, where)
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(upright)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bad(where, "the picture has too many pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _bad(where, f"the {format_name} picture cannot be decoded ({error})") from None


def _video(data: bytes, where: str, room: int) -> list[Picture]:
    """The frames of a clip, spread evenly when it has more than there is room for."""
    import av

    from overshoot_nb.capture.opening import closing_input

    if room < 1:
        raise _bad(where, f"more than {MAX_FRAMES} pictures in one request")
    # A reservoir that halves: memory stays bounded without knowing the number of frames first.
    kept: list[Picture] = []
    step = 1
    try:
        with closing_input(av.open(io.BytesIO(data), "r", format="mp4")) as container:
            if not container.streams.video:
                raise _bad(where, "the video has no picture track")
            context: Any = container.streams.video[0].codec_context
            _too_large(context.width, context.height, where)
            pixels = max(1, context.width * context.height)
            room = max(1, min(room, MAX_PIXELS // pixels))
            for index, frame in enumerate(container.decode(video=0)):
                if index % step:
                    continue
                if len(kept) == room:
                    kept = kept[::2]
                    step *= 2
                    if index % step or len(kept) == room:
                        continue
                kept.append(frame.to_ndarray(format="rgb24").astype("uint8", copy=False))
    except (av.FFmpegError, ValueError) as error:
        raise _bad(where, f"the video cannot be decoded ({error})") from None
    if not kept:
        raise _bad(where, "the video has no frame", "segment_empty")
    return kept
