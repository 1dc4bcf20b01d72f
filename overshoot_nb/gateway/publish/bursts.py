"""Video that comes in bursts, spread over its own duration.

A playlist comes a segment at a time: seconds of video at once, then nothing. Whoever samples the
wire would see a blur and then a still. What is early waits here, unread, for its own time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: A live source whose next frame is this many seconds overdue has given all that it had.
EDGE_SECONDS = 0.25
#: A step of media time by more, of a live source, is not waited out: what was between is gone.
MAX_STEP_SECONDS = 2.0
#: So far behind its edge is a live source played at most; beyond, what is old is passed over.
MAX_BEHIND_SECONDS = 10.0


class Bursts:
    """The clock of one source that comes in bursts: a frame is due at origin + media time.

    A frame that comes late moves the origin, so the delay is what the worst gap so far asked for.
    A live source begins with what its server had in store, which goes by as it comes: the origin
    is set by the first frame after that.

    All but :meth:`stop` on the thread that reads.

    Args:
        live: False for a recording, which is played from its first frame to its last.
        clock: seconds.
    """

    def __init__(self, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._clock = clock
        self._stopped = threading.Event()
        self._origin: float | None = None  # None: frames go by as they come
        self._edge = 0.0  # the origin that was set last without need of it
        self._newest: tuple[float, float] | None = None  # media time, and when it came

    def came(self, media_time: float) -> None:
        """A frame was read; ``media_time`` in seconds grows from one to the next."""
        now = self._clock()
        before, self._newest = self._newest, (media_time, now)
        here = now - media_time
        if self._origin is None:
            overdue = 0.0 if before is None else here - (before[1] - before[0])
            if not self._live or overdue > EDGE_SECONDS:
                self._origin = self._edge = here
        elif here > self._origin:
            self._origin = here
            if self._live and here - self._edge > MAX_BEHIND_SECONDS:
                self._origin = None
        elif self._live and self._origin - here > MAX_STEP_SECONDS:
            self._origin = self._edge = here

    def wait(self, media_time: float) -> bool:
        """Blocks until a media time is due; False when stopped."""
        return not self._stopped.wait(self.due_in(media_time))

    def due_in(self, media_time: float) -> float:
        """Seconds until a media time is due; 0 from then on, and while frames go by."""
        if self._origin is None:
            return 0.0
        return max(0.0, self._origin + media_time - self._clock())

    def stop(self) -> None:
        """Lets a waiting reader go, for good. From any thread."""
        self._stopped.set()
