"""What was on screen when: the pictures of the last seconds, by the clock on the wall."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

from overshoot_nb.types import EncodedFrame

__all__ = ["RecentFrames"]


class _Shown(NamedTuple):
    at: float
    frame: EncodedFrame


class RecentFrames:
    """What was put on the wire in the last seconds, as JPEGs. Any thread may add while others ask.

    A frame is on screen from when it was added until the next one was.

    Args:
        seconds: how long a frame is kept after it left the screen, by the time of the newest.
        max_bytes: bytes of JPEGs to keep; the oldest go first, the newest never does. A picture
            that is shown again, with the same bytes, counts once.
    """

    def __init__(self, seconds: float = 60.0, max_bytes: int = 64 << 20) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._shown: list[_Shown] = []
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the JPEGs kept."""
        return self._nbytes

    @property
    def newest(self) -> float | None:
        """When the newest was shown; None before the first."""
        with self._lock:
            return self._shown[-1].at if self._shown else None

    @property
    def count(self) -> int:
        """Frames kept."""
        return len(self._shown)

    def add(self, frame: EncodedFrame, shown_at: float) -> None:
        """Keeps a frame.

        Args:
            frame: the picture.
            shown_at: ``time.time()`` when it was handed to the wire; where that clock was set
                back meanwhile, the time of the last frame counts.
        """
        with self._lock:
            shown = self._shown
            if shown:
                shown_at = max(shown_at, shown[-1].at)
            if not shown or shown[-1].frame.data is not frame.data:
                self._nbytes += len(frame.data)
            shown.append(_Shown(shown_at, frame))
            gone = 0
            while gone < len(shown) - 1 and (
                shown[gone + 1].at < shown_at - self._seconds or self._nbytes > self._max_bytes
            ):
                if shown[gone].frame.data is not shown[gone + 1].frame.data:
                    self._nbytes -= len(shown[gone].frame.data)
                gone += 1
            del shown[:gone]

    def at(self, moment: float) -> EncodedFrame | None:
        """What was on screen at a time of the wall clock.

        The oldest frame for a time before it; None when there is none.
        """
        with self._lock:
            return self._shown[self._index(moment)].frame if self._shown else None

    def between(self, start: float, end: float, count: int) -> tuple[EncodedFrame, ...]:
        """What was on screen at ``count`` evenly spaced moments, ``start`` and ``end`` included.

        One moment is ``end``. Empty when there is no frame.
        """
        with self._lock:
            if not self._shown:
                return ()
            step = (end - start) / (count - 1) if count > 1 else 0.0
            moments = [end - (count - 1 - i) * step for i in range(count)]
            return tuple(self._shown[self._index(moment)].frame for moment in moments)

    def media_time(self, moment: float) -> float | None:
        """Where the video was at a time of the wall clock, in seconds; None without a frame.

        It plays on from each frame up to the next one's time, and stands still where that is not
        reached sooner (a pause), or there is no next one yet.
        """
        with self._lock:
            if not self._shown:
                return None
            index = self._index(moment)
            at, frame = self._shown[index]
            if index + 1 == len(self._shown):
                return frame.media_time
            following = self._shown[index + 1].frame.media_time
            return min(frame.media_time + max(0.0, moment - at), following)

    def _index(self, moment: float) -> int:
        return max(0, bisect_right(self._shown, moment, key=lambda shown: shown.at) - 1)
