"""Pictures that the program pushes itself: the one source that owns something, its queue."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from overshoot_nb.errors import StreamClosedError, ValidationError
from overshoot_nb.support.parameters import named_parameters

#: Pushed frames kept while nobody takes them.
FRAME_QUEUE_LENGTH = 8


def check_size(width: object, height: object) -> None:
    """Check that a picture can have this size, in pixels.

    Raises:
        ValidationError: a side is no integer from 1 to 16384.
    """
    for name, value in (("width", width), ("height", height)):
        ok = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 16384
        if not ok:
            raise ValidationError(f"{name}={value!r} must be an integer from 1 to 16384")


def check_wall_clock(name: str, value: object) -> datetime:
    """A moment on a wall clock, in UTC. One without a zone is local time, as Python has it.

    Raises:
        ValidationError: ``value`` is no ``datetime``, or of a year before 2 or after 9000.
    """
    # Pandas' own is one, and so is what it has for a missing time.
    moment = getattr(value, "to_pydatetime", lambda **options: value)(warn=False)
    if not isinstance(moment, datetime) or moment != moment:
        raise ValidationError(
            f"{name}={value!r} must be a datetime, such as datetime(2026, 1, 31, 12, tzinfo=UTC); "
            "one without a zone is local time"
        )
    if not 2 <= moment.year <= 9000:
        raise ValidationError(f"{name}={value!r} must be of a year from 2 to 9000")
    try:
        return moment.astimezone(UTC)
    except (OSError, OverflowError, ValueError) as error:  # what this platform cannot reckon with
        raise ValidationError(f"{name}={value!r} is not valid: {error}") from None


class PushedFrame(NamedTuple):
    """A picture and when it was pushed.

    ``pixels`` is (h, w, 4 or 3), ``time`` in seconds; ``captured_at`` is UTC wall clock, or None.
    """

    pixels: npt.NDArray[np.uint8]
    time: float
    captured_at: datetime | None = None


class FrameSource:
    """Pictures that the program pushes itself, from any thread.

    Args:
        width, height: size of every picture in pixels.

    Raises:
        ValidationError: a size is no positive integer.
    """

    live: ClassVar[bool] = True
    realtime: ClassVar[bool] = True

    @named_parameters
    def __init__(self, width: int, height: int) -> None:
        check_size(width, height)
        self.width = width
        self.height = height
        self._queue: deque[PushedFrame] = deque(maxlen=FRAME_QUEUE_LENGTH)
        self._ready = threading.Condition()
        self._closed = False
        self._wake = 0
        self._now: tuple[float, float] | None = None  # newest frame: its time, and the clock's
        self._taken = False  # whether somebody takes the frames
        self._lost = 0  # while nobody did

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return f"pushed frames {self.width}x{self.height}"

    def __repr__(self) -> str:
        return f"FrameSource(width={self.width}, height={self.height})"

    def push_frame(
        self,
        frame: bytes | bytearray | memoryview | npt.NDArray[np.uint8],
        *,
        media_time: float | None = None,
        captured_at: datetime | None = None,
    ) -> None:
        """Gives one picture. It is copied; when nobody takes them, the oldest is dropped.

        What was dropped before a stream began is counted among its drops, frame by frame.

        Args:
            frame: ``width * height * 4`` bytes of RGBA, or a uint8 array of shape (h, w, 4) RGBA
                or (h, w, 3) RGB.
            media_time: its time in seconds on a clock of the caller's; default: the time of the
                call. Use one or the other throughout.
            captured_at: when it was taken, on the clock on the wall; one without a zone is local
                time. It becomes ``captured_at`` of the samples that show it (of a clip, that of
                its first frame); default: when the sample was taken. It need not grow.

        Raises:
            ValidationError: the size, shape or type is another, ``media_time`` does not grow, or
                ``captured_at`` is no ``datetime``.
            StreamClosedError: the source was closed.
        """
        pixels = self._checked(frame)
        if captured_at is not None:
            captured_at = check_wall_clock("captured_at", captured_at)
        now = time.monotonic()
        moment = now if media_time is None else float(media_time)
        with self._ready:
            if self._closed:
                raise StreamClosedError(
                    f"{self!r} was closed: it takes no more frames", "the frame source was closed"
                )
            if self._now is not None and moment <= self._now[0]:
                if media_time is not None:
                    raise ValidationError(
                        f"media_time={media_time!r} must be later than the last frame's"
                    )
                moment = self._now[0] + 1e-6
            if not self._taken and len(self._queue) == FRAME_QUEUE_LENGTH:
                self._lost += 1
            self._queue.append(PushedFrame(pixels, moment, captured_at))
            self._now = moment, now
            self._ready.notify_all()

    def close(self) -> None:
        """Says that no more frames come; what is queued is still used. Idempotent."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    # ---- for capture ---------------------------------------------------------------------------

    def begin(self) -> int:
        """Somebody takes the frames from now on; how many were dropped since the last who did."""
        with self._ready:
            self._taken = True
            lost, self._lost = self._lost, 0
            return lost

    def end(self) -> None:
        """Nobody does any more."""
        with self._ready:
            self._taken = False

    def next_frame(self, until: float | None) -> PushedFrame | None:
        """Waits for the oldest queued frame; None once the source's clock passes ``until``.

        Also returns None at :meth:`close` with an empty queue and after :meth:`wake`.
        """
        with self._ready:
            wakes = self._wake
            while not self._queue and not self._closed and self._wake == wakes:
                left = None if until is None else until - self._clock()
                if left is not None and left <= 0:
                    break
                self._ready.wait(left)
            return self._queue.popleft() if self._queue else None

    def wake(self) -> None:
        """Makes a waiting :meth:`next_frame` return."""
        with self._ready:
            self._wake += 1
            self._ready.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the source is closed and every frame was taken."""
        with self._ready:
            return self._closed and not self._queue

    def _clock(self) -> float:
        now = time.monotonic()
        return now if self._now is None else self._now[0] + (now - self._now[1])

    def _checked(self, frame: Any) -> npt.NDArray[np.uint8]:
        w, h = self.width, self.height
        expected = (
            f"expected {w * h * 4} bytes of RGBA ({w}x{h}x4), or a uint8 array of shape "
            f"({h}, {w}, 4) RGBA or ({h}, {w}, 3) RGB"
        )
        if isinstance(frame, bytes | bytearray | memoryview):
            view = memoryview(frame)
            if view.nbytes != w * h * 4:
                raise ValidationError(f"{expected}; got {view.nbytes} bytes")
            return np.frombuffer(bytes(view), np.uint8).reshape(h, w, 4)
        if not isinstance(frame, np.ndarray):
            raise ValidationError(f"{expected}; got {type(frame).__name__}")
        if frame.dtype != np.uint8 or frame.shape not in ((h, w, 4), (h, w, 3)):
            raise ValidationError(f"{expected}; got {frame.dtype} of shape {frame.shape}")
        return np.array(frame, order="C")
