"""Data URLs become RGB pictures. Runs in the worker thread: decoding is work, too.

What a request may hold is in `overshoot_nb.config` (``ENGINE_...``). What its files say of
themselves is looked at before anything is decoded, and again as it is: a header may lie.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pybase64

from overshoot_nb import config

from .refusals import ChatRefusal
from .work import go_on

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

IMAGE_TYPES = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
VIDEO_TYPES = ("video/mp4",)

#: Scans of a progressive JPEG, each of which costs as much as a whole picture; encoders write ten.
MAX_SCANS = 100
_SCAN = b"\xff\xda"
#: Samples of an MP4's tables. FFmpeg takes 60 bytes for each that is declared, there or not.
MAX_SAMPLES = 5_000_000
#: Tables that say how many samples there are, and where in each the number is.
_TABLES = re.compile(rb"stsz|stz2|trun")
_COUNT_AT = {b"stsz": 12, b"stz2": 12, b"trun": 8}


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


class _File(NamedTuple):
    """The bytes of an attachment; ``kind`` is its media type."""

    kind: str
    data: bytes
    where: str
    video: bool


@dataclass(slots=True)
class _Used:
    """What a request has taken of its bounds until now; of videos, what was decoded."""

    pixels: int = 0
    video_frames: int = 0
    video_pixels: int = 0
    video_seconds: float = 0.0

    def take_pixels(self, count: int, where: str) -> None:
        self.pixels += count
        if self.pixels > config.ENGINE_PIXELS:
            raise _beyond(where, f"{config.ENGINE_PIXELS // 1_000_000} megapixels")

    def take_video(self, frames: int, pixels: int, seconds: float, where: str) -> None:
        """So many frames, with so many pixels each, in so many seconds."""
        self.video_frames += frames
        self.video_pixels += frames * pixels
        self.video_seconds += seconds
        if self.video_frames > config.ENGINE_VIDEO_FRAMES:
            raise _beyond(where, f"{config.ENGINE_VIDEO_FRAMES} frames", "videos")
        if self.video_pixels > config.ENGINE_VIDEO_PIXELS:
            raise _beyond(where, f"{config.ENGINE_VIDEO_PIXELS // 1_000_000} megapixels", "videos")
        if self.video_seconds > config.ENGINE_VIDEO_SECONDS:
            raise _beyond(where, f"{config.ENGINE_VIDEO_SECONDS:g} seconds", "videos")


def decode(attachments: Sequence[Attachment | Picture]) -> list[Picture]:
    """All pictures in order, as arrays of shape (height, width, 3), RGB.

    What is a picture already stays as it is.

    Raises:
        ChatRefusal: 400, naming the part that is not a picture, or is too large; 413, naming
            the one with which all together are too large.
    """
    used = _Used()
    files = [_file(each) if isinstance(each, Attachment) else each for each in attachments]
    for file in files:
        if isinstance(file, _File) and not file.video:
            used.take_pixels(_declared_pixels(file), file.where)
    pictures: list[Picture] = []
    for file in files:
        go_on()
        if not isinstance(file, _File):
            pictures.append(file)
        elif file.video:
            pictures += _video(file, config.ENGINE_PICTURES - len(pictures), used)
        else:
            pictures.append(_image(file))
    return pictures


def _bad(where: str, problem: str, code: str = "segment_invalid") -> ChatRefusal:
    return ChatRefusal(400, f"{where}: {problem}", code, param=where)


def _beyond(where: str, bound: str, what: str = "pictures") -> ChatRefusal:
    return ChatRefusal(
        413,
        f"{where}: the {what} of one request have more than {bound} together",
        "request_too_large",
        param=where,
    )


def _file(attachment: Attachment) -> _File:
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
    return _File(kind, data, attachment.where, attachment.video)


def _too_large(width: int, height: int, where: str) -> None:
    if width * height > config.ENGINE_PICTURE_PIXELS:
        most = config.ENGINE_PICTURE_PIXELS // 1_000_000
        raise _bad(where, f"{width}x{height} pixels are more than {most} megapixels")


@contextmanager
def _opened(file: _File) -> Iterator[Any]:
    """A picture whose header was read; what is wrong with it is a refusal."""
    from PIL import Image

    name = IMAGE_TYPES[file.kind]
    try:
        with Image.open(io.BytesIO(file.data), formats=(name,)) as image:
            yield image
    except ChatRefusal:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = config.ENGINE_PICTURE_PIXELS // 1_000_000
        raise _bad(file.where, f"the picture has more than {most} megapixels") from None
    except Exception as error:
        # What a parser of bytes that anybody may send raises is anything.
        problem = str(error) or type(error).__name__
        raise _bad(file.where, f"the {name} picture cannot be decoded ({problem})") from None


def _declared_pixels(file: _File) -> int:
    with _opened(file) as image:
        width, height = image.size
    _too_large(width, height, file.where)
    if file.data.count(_SCAN) > MAX_SCANS and IMAGE_TYPES[file.kind] == "JPEG":
        raise _bad(file.where, f"the JPEG picture has more than {MAX_SCANS} scans")
    return int(width * height)


def _image(file: _File) -> Picture:
    """The picture, upright; of an animated one the first."""
    import numpy as np
    from PIL import ImageOps

    from overshoot_nb.sampling.picture import image_over_white

    with _opened(file) as image:
        # In place and only where it is not RGB: each copy of a large picture is 160 MB.
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image_over_white(image))


def _video(file: _File, room: int, used: _Used) -> list[Picture]:
    """The frames of a clip, spread evenly when it has more than there is room for."""
    import av

    from overshoot_nb.sampling.opening import closing_input

    where = file.where
    if room < 1:
        raise _bad(where, f"more than {config.ENGINE_PICTURES} pictures in one request")
    _check_tables(file)
    # A reservoir that halves: memory stays bounded without knowing the number of frames first.
    kept: list[Picture] = []
    held, step, index = 0, 1, 0
    most = min(config.ENGINE_PICTURE_PIXELS, config.ENGINE_PIXELS - used.pixels)
    began = span = 0.0
    try:
        data = io.BytesIO(file.data)
        with closing_input(av.open(data, "r", format="mp4")) as container:
            if not container.streams.video:
                raise _bad(where, "the video has no picture track")
            track = container.streams.video[0]
            context: Any = track.codec_context
            _check_declared(container, track, used, where)
            # Frames may be larger than the header says.
            context.options = {**context.options, "max_pixels": str(config.ENGINE_PICTURE_PIXELS)}
            for packet in container.demux(track):
                go_on()
                for frame in packet.decode():
                    _too_large(frame.width, frame.height, where)
                    pixels = frame.width * frame.height
                    if pixels > most:
                        used.take_pixels(pixels, where)
                    if frame.time is not None:
                        began = frame.time if not index else began
                        span = max(span, frame.time - began)
                    used.take_video(1, pixels, 0.0, where)
                    replace(used).take_video(0, 0, span, where)
                    number, index = index, index + 1
                    if number % step:
                        continue
                    if len(kept) == room or held + pixels > most:
                        kept = kept[::2]
                        held = sum(picture.size // 3 for picture in kept)
                        step *= 2
                        if number % step or len(kept) == room or held + pixels > most:
                            continue
                    kept.append(frame.to_ndarray(format="rgb24").astype("uint8", copy=False))
                    held += pixels
    except (av.FFmpegError, ValueError) as error:
        raise _bad(where, f"the video cannot be decoded ({error})") from None
    if not kept:
        raise _bad(where, "the video has no frame", "segment_empty")
    used.video_seconds += span
    used.pixels += held
    return kept


def _check_declared(container: Any, track: Any, used: _Used, where: str) -> None:
    """Refuse a video that says of itself that it is too large."""
    width, height = track.codec_context.width, track.codec_context.height
    _too_large(width, height, where)
    seconds = max(
        (container.duration or 0) / 1e6, float((track.duration or 0) * (track.time_base or 0))
    )
    replace(used).take_video(track.frames, width * height, seconds, where)


def _check_tables(file: _File) -> None:
    """Refuse an MP4 whose tables are larger than what they are about.

    Raises:
        ChatRefusal: 413; or 400 where the tables are compressed.
    """
    samples = 0
    for start, end in _outside_media(file.data):
        if file.data.find(b"cmov", start, end) >= 0:
            raise _bad(file.where, "the video's header is compressed, which is not supported")
        for table in _TABLES.finditer(file.data, start, end):
            at = table.start()
            size = int.from_bytes(file.data[at - 4 : at])
            if table.group() == b"trun" and not 0 < size <= len(file.data):
                continue  # the beginning of a word, such as "truncated"
            at += _COUNT_AT[table.group()]
            samples += int.from_bytes(file.data[at : at + 4])
    most = min(MAX_SAMPLES, len(file.data))
    if samples > most:
        raise _beyond(file.where, f"{most} samples", "tracks of the videos")


def _outside_media(data: bytes) -> Iterator[tuple[int, int]]:
    """Where in an MP4 its boxes are, all but the media themselves."""
    start = 0
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4])
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        end = len(data) if size == 0 else start + size
        if end < start + head or end > len(data):
            # FFmpeg reads on, in its own way.
            yield start, len(data)
            return
        if data[start + 4 : start + 8] != b"mdat":
            yield start, end
        start = end
