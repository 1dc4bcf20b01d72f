"""The demo video as a file: rendered once into the cache folder, then found there."""

from __future__ import annotations

import importlib.util
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from overshoot_nb import config
from overshoot_nb.errors import MissingDependencyError, ValidationError

from . import timeline

#: Part of the file's name: counted up when the picture changes.
VERSION = 1


def video(size: tuple[int, int] = (640, 360)) -> Path:
    """The demo video, rendered on first use (some seconds) into the cache folder.

    Safe to call from several processes at once: each sees no file or a whole one.

    Args:
        size: width and height in pixels, both even, 320x180 to 1920x1080; best at 16:9.

    Returns:
        Path of an MP4 (H.264, 24 frames a second, 36 s).

    Raises:
        MissingDependencyError: Pillow is not installed (extra ``local``).
        ValidationError: the size cannot be encoded.
        OSError: the cache folder cannot be written.
    """
    width, height = size
    if width % 2 or height % 2 or not (320 <= width <= 1920 and 180 <= height <= 1080):
        raise ValidationError(f"size={size!r}: even numbers from 320x180 to 1920x1080 are needed")
    path = config.cache_dir() / f"demo-game-v{VERSION}-{width}x{height}.mp4"
    if path.exists():
        return path
    if importlib.util.find_spec("PIL") is None:
        raise MissingDependencyError(f"the demo video needs Pillow: {config.LOCAL_INSTALL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-{uuid4().hex}.part")
    try:
        _render(unfinished, width, height)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _render(path: Path, width: int, height: int) -> None:
    import av

    from .drawing import Scene

    scene = Scene(width, height)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = cast(Any, container.add_stream("libx264", rate=timeline.FPS))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, timeline.FPS)
        stream.gop_size = 2 * timeline.FPS
        stream.options = {"crf": "19", "preset": "veryfast"}
        stream.codec_context.thread_count = 1
        make_frame: Any = av.VideoFrame.from_image  # typed in some versions of PyAV only
        for index in range(math.ceil(timeline.DURATION * timeline.FPS)):
            frame = make_frame(scene.frame(index / timeline.FPS))
            frame.pts = index
            frame.time_base = Fraction(1, timeline.FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
