"""Holds a file to the clock: a sample is due when its moment would be on screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: How far a file is read ahead of its clock. What is switched on or changed meanwhile shows after
#: about that time; it is enough to have a frame ready when it is due.
READ_AHEAD_SECONDS = 1.0


class Pacer:
    """A media clock that can be paused, for one worker thread.

    Args:
        realtime: True for a file played in real time. False never waits for the clock (a live
            source paces itself; a batch goes as fast as answers come).
        hold: whether a pause holds the worker back. False for live sources: they must be read
            on, or their buffers overflow.
        speed: seconds of media time that pass in one second.
        tentative: whether opening the source may show that it is live after all, or a file:
            see :meth:`settle`.
    """

    def __init__(
        self, *, realtime: bool, hold: bool, speed: float = 1.0, tentative: bool = False
    ) -> None:
        self._realtime = realtime
        self._tentative = tentative
        self._speed = speed
        self._hold = hold
        self._condition = threading.Condition()
        self._origin: float | None = None  # monotonic time of media time zero
        self._paused_at: float | None = None
        self._stopped = False

    def settle(self, *, live: bool) -> None:
        """What is watched turned out to be live, or to be a file, before its first moment.

        Changes nothing where that was certain before.
        """
        with self._condition:
            if self._tentative:
                self._realtime = self._hold = not live

    @property
    def realtime(self) -> bool:
        """Whether it holds a file to the clock."""
        return self._realtime

    @property
    def paused(self) -> bool:
        """Whether the clock stands still."""
        return self._paused_at is not None

    def wait(self, media_time: float, on_hold: Callable[[], None] | None = None) -> bool:
        """Block until ``media_time`` (seconds) is due; False when stopped meanwhile.

        ``on_hold`` is called once, on this thread, if a pause holds it back.
        """
        with self._condition:
            while not self._stopped:
                now = time.monotonic()
                if self._paused_at is not None and self._hold:
                    if on_hold is None:
                        self._condition.wait()
                        continue
                    # Without the lock: whoever pauses or resumes need not wait for it.
                    self._condition.release()
                    try:
                        on_hold()
                    finally:
                        self._condition.acquire()
                    on_hold = None
                    continue
                if not self._realtime:
                    return True
                if self._origin is None:
                    # The clock starts with the first moment, so that a slow opening or a late
                    # first sample does not make all the others late.
                    self._origin = now - media_time / self._speed
                due = self._origin + media_time / self._speed
                if now >= due:
                    return True
                self._condition.wait(due - now)
            return False

    def wait_until_near(self, media_time: float) -> None:
        """Block while ``media_time`` is more than ``READ_AHEAD_SECONDS`` ahead of the clock.

        Returns at once when there is no clock: not in real time, before its first moment, or
        stopped.
        """
        with self._condition:
            while (late := self._late(media_time)) < -READ_AHEAD_SECONDS and not self._stopped:
                ahead = -READ_AHEAD_SECONDS - late
                self._condition.wait(ahead if self._paused_at is None else None)

    def late(self, media_time: float) -> float:
        """Seconds since ``media_time`` was due; negative before, 0 where there is no clock."""
        with self._condition:
            return self._late(media_time)

    def _late(self, media_time: float) -> float:
        if not self._realtime or self._origin is None:
            return 0.0
        now = time.monotonic() if self._paused_at is None else self._paused_at
        return now - (self._origin + media_time / self._speed)

    def pause(self) -> None:
        """Stop the clock."""
        with self._condition:
            if self._paused_at is None:
                self._paused_at = time.monotonic()
            self._condition.notify_all()

    def resume(self) -> None:
        """Let the clock go on from where it stopped."""
        with self._condition:
            if self._paused_at is not None:
                if self._origin is not None:
                    self._origin += time.monotonic() - self._paused_at
                self._paused_at = None
            self._condition.notify_all()

    def stop(self) -> None:
        """Let a waiting worker go, for good."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
