"""``ReplayClock``: when what happened is due to happen again."""

from __future__ import annotations

import math
import time


class ReplayClock:
    """The times of a recorded run on the clock of this one; for one thread.

    It starts with the first thing that is asked about.

    Args:
        speed: seconds of the recording that pass in one; ``math.inf``: nothing is waited for.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin: float | None = None  # monotonic time of the recording's zero
        self._newest = 0.0  # the last thing that happened, in seconds of the recording
        self._paused_at: float | None = None

    def until(self, at: float) -> float:
        """Seconds until what was ``at`` is due; 0 where it is."""
        if math.isinf(self._speed):
            return 0.0
        now = time.monotonic()
        if self._origin is None:
            self._origin = now - at / self._speed
        return max(0.0, self._origin + at / self._speed - now)

    def passed(self, at: float) -> None:
        """What was ``at`` has happened."""
        self._newest = max(self._newest, at)

    def begin_again(self) -> None:
        """It is now as late as the last thing that happened was."""
        self._origin = time.monotonic() - self._newest / self._speed
        if self._paused_at is not None:
            self._paused_at = time.monotonic()

    def pause(self) -> None:
        """Samples wait from now on: what they are due at is later by as long as that lasts."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Samples come again."""
        if self._paused_at is not None and self._origin is not None:
            self._origin += time.monotonic() - self._paused_at
        self._paused_at = None
