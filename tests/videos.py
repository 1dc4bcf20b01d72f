"""Videos made by the tests: solid colours, and frames that carry their number as a barcode."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import simplejpeg

BITS = 10
CELL = 16
#: Pictures of 160x96 with the number in cells along the top.
WIDTH, HEIGHT = BITS * CELL, 96


def solid(colour: tuple[int, int, int], width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture of one RGB colour."""
    return np.full((height, width, 3), colour, np.uint8)


def barcode(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture whose first 16 rows carry ``number`` in binary, with something moving below."""
    picture = np.full((height, width, 3), 60, np.uint8)
    for bit in range(BITS):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0
    x = number * 5 % (width - 24)
    picture[40:64, x : x + 24] = (200, 30 + number * 7 % 200, 90)
    picture[70:80, :, 1] = (np.arange(width) * 3 + number * 11).astype(np.uint8)
    return picture


def number_in(jpeg: bytes) -> int:
    """The number that a sampled barcode picture carries, at whatever size."""
    grey = simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]
    cell = grey.shape[1] / BITS
    row = int(cell / 2)
    return sum(int(grey[row, int((bit + 0.5) * cell)] > 128) << bit for bit in range(BITS))


def mean_colour(jpeg: bytes) -> tuple[int, int, int]:
    """Mean RGB of a JPEG."""
    red, green, blue = simplejpeg.decode_jpeg(jpeg, "RGB").mean((0, 1))
    return round(red), round(green), round(blue)


def make_video(
    path: Path | io.BytesIO,
    frames: int | Iterable[np.ndarray] = 60,
    *,
    fps: int = 30,
    codec: str = "libx264",
    pts: Sequence[int] | Callable[[int], int] | None = None,
    time_base: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    b_frames: int | None = None,
    options: dict[str, str] | None = None,
    format: str | None = None,
    container_options: dict[str, str] | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> Path | io.BytesIO:
    """Encodes a video.

    Args:
        frames: how many barcode frames, or the pictures.
        pts: presentation times in units of ``time_base`` (default: 0, 1, 2... in 1 / fps).
        prepare: called with the stream before the first frame is encoded.
    """
    pictures = [barcode(i) for i in range(frames)] if isinstance(frames, int) else list(frames)
    height, width = pictures[0].shape[:2]
    where = path if isinstance(path, io.BytesIO) else str(path)
    with (
        same_priority(),
        av.open(where, "w", format=format, options=container_options or {}) as container,
    ):
        stream: Any = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base or Fraction(1, fps)
        stream.codec_context.gop_size = gop
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if prepare is not None:
            prepare(stream)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = i if pts is None else pts(i) if callable(pts) else pts[i]
            frame.time_base = time_base or Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def same_priority() -> Iterator[None]:
    """Leave this thread's scheduling as it was.

    SVT-AV1, run as root, makes the thread that encodes a real-time one, ahead of all others. So it
    would stay, and so would every process that the tests start from it be: two of those that wait
    for each other busily stop the machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


#: Display matrices (a, b, c, d), which take a pixel at (x, y) to (a x + c y, b x + d y), and what
#: then stands in the corners of ``four_corners``: top left, top right, bottom left, bottom right.
MATRICES = {
    "as it is": ((1, 0, 0, 1), "RGBW"),
    "turned by 90": ((0, 1, -1, 0), "BRWG"),
    "turned by 180": ((-1, 0, 0, -1), "WBGR"),
    "turned by 270": ((0, -1, 1, 0), "GWRB"),
    "left and right exchanged": ((-1, 0, 0, 1), "GRWB"),
    "top and bottom exchanged": ((1, 0, 0, -1), "BWRG"),
    "transposed": ((0, 1, 1, 0), "RBGW"),
    "transposed the other way": ((0, -1, -1, 0), "WGBR"),
    "all zero": ((0, 0, 0, 0), "RGBW"),
}
_CORNERS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


def four_corners(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture of four colours: red and green above, blue and white below."""
    picture = np.empty((height, width, 3), np.uint8)
    for corner, (y, x) in zip("RGBW", ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        rows, columns = slice(y * height // 2, None), slice(x * width // 2, None)
        picture[rows, columns] = _CORNERS[corner]
    return picture


def corners_of(picture: np.ndarray | bytes) -> str:
    """The colours that stand in the corners of an RGB picture or JPEG, such as "RGBW"."""
    rgb = simplejpeg.decode_jpeg(picture, "RGB") if isinstance(picture, bytes) else picture
    height, width = rgb.shape[:2]
    return "".join(
        min(_CORNERS, key=lambda c: np.abs(rgb[y, x].astype(int) - _CORNERS[c]).sum())
        for y in (height // 8, height - 1 - height // 8)
        for x in (width // 8, width - 1 - width // 8)
    )


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Writes a display matrix, as in ``MATRICES``, into an MP4."""
    a, b, c, d = (n << 16 for n in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix is after 40 bytes
    numbers = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    data[at : at + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    path.write_bytes(data)


def turn(path: Path, degrees: int) -> None:
    """Writes a rotation into an MP4, as a telephone does: turned clockwise by ``degrees``."""
    set_matrix(path, MATRICES[f"turned by {degrees}" if degrees else "as it is"][0])


def exif_jpeg(picture: np.ndarray, orientation: int) -> bytes:
    """A JPEG whose Exif data says an orientation, 1 to 8."""
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 95)
    entry = b"\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def full_decode(path: Path | str) -> list[tuple[Fraction, int]]:
    """The oracle: time since the first frame, and CRC of the pixels, of every frame."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            frames.append((frame.pts * frame.time_base, crc(frame)))
    return [(at - frames[0][0], pixels) for at, pixels in frames]


def crc(frame: Any) -> int:
    """Of the pixels alone: lines may be padded with anything."""
    return zlib.crc32(frame.to_ndarray().tobytes())
