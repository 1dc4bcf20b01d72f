"""What a screen is shown while a stream runs: its samples, and frames between them.

A reader decodes in one pass. While somebody watches, it asks for the frames at the preview's
ticks too, in the same plan of packets, and shows each when it is due on the same clock as the
samples. Nobody watching costs nothing: the samples are the same either way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from overshoot_nb import config
from overshoot_nb.support.validation import check_jpeg_quality, check_max_size, check_whole
from overshoot_nb.types import EncodedFrame

from .decoding import Shown
from .encoder import FrameEncoder
from .pacing import Pacer
from .sampler import NONE, Grid, Sampler

logger = logging.getLogger("overshoot_nb")

#: A frame that would be shown later than this, in seconds, is left out.
MAX_LATE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class PreviewFrame:
    """One picture for the screen.

    Attributes:
        media_time: the frame's own time, seconds since the first frame.
        shown_at: when it was due on screen, seconds since the epoch; of a live source, when it
            was read.
        data: JPEG bytes.
        width, height: size of the JPEG in pixels, upright.
        sample: index of the sample whose very picture this is, else None.
        row: as a recording is played, the row whose answer stands beside it, -1 before the first;
            else None: the newest row does.
    """

    media_time: float
    shown_at: float
    data: bytes = field(repr=False)
    width: int
    height: int
    sample: int | None = None
    row: int | None = None


class Viewer(Protocol):
    """Who watches. Both are called on the worker thread that samples, and must not block."""

    def room(self) -> bool:
        """Whether it takes a frame now."""

    def show(self, frame: PreviewFrame) -> None:
        """Takes a frame."""


class Preview:
    """What a reader shows on the side, switched on and off from any thread.

    Args:
        max_size: width and height in pixels that frames between samples are fitted into.
        fps: frames a second, at most; 1 to 60.
        quality: JPEG quality, 1 to 100.

    Raises:
        ValidationError: a parameter is out of range.
    """

    def __init__(
        self,
        *,
        max_size: tuple[int, int] = config.PREVIEW_SIZE,
        fps: int = config.PREVIEW_FPS,
        quality: int = config.PREVIEW_QUALITY,
    ) -> None:
        check_whole("fps", fps, 1, 60)
        check_jpeg_quality(quality)
        self.max_size = check_max_size(max_size)
        self.fps = fps
        self.quality = quality
        self._lock = threading.Lock()
        self._viewers: tuple[Viewer, ...] = ()

    def watch(self, viewer: Viewer) -> None:
        """Shows frames to this one too, from any thread. Idempotent."""
        with self._lock:
            if viewer not in self._viewers:
                self._viewers = (*self._viewers, viewer)

    def unwatch(self, viewer: Viewer) -> None:
        """No more, from any thread; a frame on its way may still come. Idempotent."""
        with self._lock:
            self._viewers = tuple(v for v in self._viewers if v != viewer)

    @property
    def active(self) -> bool:
        """Whether anybody watches."""
        return bool(self._viewers)

    def offer(self, make: Callable[[], PreviewFrame]) -> bool:
        """Shows one frame, made only if a viewer has room; returns whether it was made.

        A viewer that raises is logged and watches no more.
        """
        frame: PreviewFrame | None = None
        for viewer in self._viewers:
            try:
                if viewer.room():
                    frame = frame or make()
                    viewer.show(frame)
            except Exception:
                logger.exception("a viewer of the preview failed and was let go")
                self.unwatch(viewer)
        return frame is not None


class PreviewTrack:
    """One reader's way through a preview; all of it on the reader's thread.

    It is the reader's ``Sampler``: a frame is wanted for the samples
    or for the preview.

    Args:
        preview: who watches, and what is shown.
        sampler: the moments of the samples.
        pacer: the clock of a file.
        wait: blocks until a media time in seconds is due; False ends the reading.
        between: whether to show frames between the samples. Not of a file that is read as fast
            as answers come: its samples alone, at most ``fps`` of them a second.
    """

    def __init__(
        self,
        preview: Preview,
        sampler: Sampler,
        *,
        pacer: Pacer,
        wait: Callable[[float], bool],
        between: bool,
    ) -> None:
        self._preview = preview
        self._sampler = sampler
        self._pacer = pacer
        self._wait = wait
        self._between = between
        self._apart = 1 / preview.fps
        self._grid = Grid(Fraction(0), Fraction(1, preview.fps))
        self._unit = Fraction(1)
        self._encoder = FrameEncoder(preview.max_size, preview.quality)
        self._newest = -1.0  # media time of what is on screen
        self._shown_at = float("-inf")  # monotonic time of when that was shown

    # ---- what capture asks ---------------------------------------------------------------------

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        self._unit = time_base
        self._sampler.bind(time_base, within)
        self._grid.bind(time_base, within)

    def wants(self, start: int, end: int) -> bool:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        if self._sampler.wants(start, end):
            return True
        return (
            self._between
            and self._preview.active
            and self._grid.wants(start, end)
            and not self._too_late(float(start * self._unit))
        )

    def due(self, after: int) -> int:
        """See ``Sampler``. Nobody is woken for the preview alone."""
        return self._sampler.due(after)

    # ---- what the reader shows -----------------------------------------------------------------

    def pass_by(self, shown: Shown, sample_at: Fraction | None) -> bool:
        """Shows a frame when it is due, if the preview wants it. False when the reading ends.

        Args:
            shown: the next frame in display order.
            sample_at: media time of the sample that this frame completes, or None.
        """
        if shown.frame is None or not self._between or not self._preview.active:
            return True
        at = float(shown.start * shown.unit)
        if at <= self._newest or not self._grid.wants(shown.start, shown.end):
            return True
        if sample_at is not None and sample_at - shown.start * shown.unit < self._apart:
            return True  # its picture is shown as the sample's
        if self._too_late(at):
            return True
        if not self._wait(at):
            return False

        def make() -> PreviewFrame:
            picture = self._encoder.picture(
                shown.frame, shown.rotation, shown.aspect, shown.mirrored
            )
            return self._screened(self._encoder.encode(picture, at), at)

        if self._preview.offer(make):
            self._on_screen(at)
        return True

    def sampled(self, index: int, frame: EncodedFrame, due: float) -> None:
        """Shows the picture of a sample, now that it is due.

        Args:
            index: of the sample.
            frame: its newest frame.
            due: media time at which it was due.
        """
        if frame.media_time < self._newest:
            return  # a clip that broke off: the screen does not step back
        if not self._between and time.monotonic() - self._shown_at < self._apart:
            return
        if self._preview.offer(lambda: self._screened(frame, due, index)):
            self._on_screen(frame.media_time)

    def _too_late(self, media_time: float) -> bool:
        return self._pacer.late(media_time) > MAX_LATE_SECONDS

    def _on_screen(self, media_time: float) -> None:
        self._newest = media_time
        self._shown_at = time.monotonic()

    def _screened(self, frame: EncodedFrame, due: float, sample: int | None = None) -> PreviewFrame:
        shown_at = time.time() - self._pacer.late(due)
        return PreviewFrame(
            frame.media_time, shown_at, frame.data, frame.width, frame.height, sample
        )
