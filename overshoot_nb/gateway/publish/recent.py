"""What was on screen when: the pictures of the last seconds, by a clock that nobody sets."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

from overshoot_nb.types import EncodedFrame


class _Shown(NamedTuple):
    at: float
    media_time: float
    frame: EncodedFrame | None  # None: only its time is left


class RecentFrames:
    """What was put on the wire in the last seconds, as JPEGs. Any thread may add while others ask.

    A frame is on screen from when it was added until the next one was. Moments are those of
    ``time.monotonic()``, which goes on evenly when the clock on the wall is set.

    Args:
        seconds: how long a frame is kept after it left the screen, by the time of the newest.
        max_bytes: bytes of JPEGs to keep; the oldest go first, the newest never does, and the
            times of those that went are known on. A picture that is shown again, with the same
            bytes, counts once.
    """

    def __init__(self, seconds: float = 60.0, max_bytes: int = 64 << 20) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._shown: list[_Shown] = []
        self._first = 0  # index of the oldest picture
        self._nbytes = 0
        self._cleared = False

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
        """Frames kept whose pictures are there."""
        with self._lock:
            return len(self._shown) - self._first

    def keep_for(self, seconds: float) -> None:
        """Keeps frames for so many seconds at least."""
        with self._lock:
            self._seconds = max(self._seconds, seconds)

    def add(self, frame: EncodedFrame, shown_at: float) -> None:
        """Keeps a frame.

        Args:
            frame: the picture.
            shown_at: ``time.monotonic()`` when it was handed to the wire; not before the last.
        """
        with self._lock:
            if self._cleared:
                return
            newest = self._shown[-1].frame if self._shown else None
            if newest is None or newest.data is not frame.data:
                self._nbytes += len(frame.data)
            self._shown.append(_Shown(shown_at, frame.media_time, frame))
            while self._nbytes > self._max_bytes and self._first < len(self._shown) - 1:
                self._drop_picture()
            gone = 0
            while gone < len(self._shown) - 1 and (
                self._shown[gone + 1].at < shown_at - self._seconds
            ):
                gone += 1
            while self._first < gone:
                self._drop_picture()
            del self._shown[:gone]
            self._first -= gone

    def clear(self) -> None:
        """Lets go of all frames, and keeps none from now on."""
        with self._lock:
            self._cleared = True
            self._shown.clear()
            self._first = self._nbytes = 0

    def at(self, moment: float) -> EncodedFrame | None:
        """What was on screen at a moment.

        The oldest picture for a moment before it; None when there is none.
        """
        with self._lock:
            return self._picture(moment) if self._shown else None

    def between(self, start: float, end: float, count: int) -> tuple[EncodedFrame, ...]:
        """What was on screen at ``count`` evenly spaced moments, ``start`` and ``end`` included.

        One moment is ``end``. The oldest picture for moments before it; empty when there is none.
        """
        with self._lock:
            if not self._shown:
                return ()
            step = (end - start) / (count - 1) if count > 1 else 0.0
            return tuple(self._picture(end - (count - 1 - i) * step) for i in range(count))

    def media_time(self, moment: float) -> float | None:
        """Where the video was at a moment, in seconds; None without a frame.

        It plays on from each frame up to the next one's time, and stands still where that is not
        reached sooner (a pause), or there is no next one yet.
        """
        with self._lock:
            if not self._shown:
                return None
            index = self._index(moment)
            shown = self._shown[index]
            if index + 1 == len(self._shown):
                return shown.media_time
            following = self._shown[index + 1].media_time
            return min(shown.media_time + max(0.0, moment - shown.at), following)

    def _index(self, moment: float) -> int:
        return max(0, bisect_right(self._shown, moment, key=lambda shown: shown.at) - 1)

    def _picture(self, moment: float) -> EncodedFrame:
        frame = self._shown[max(self._first, self._index(moment))].frame
        assert frame is not None
        return frame

    def _drop_picture(self) -> None:
        """Lets go of the oldest picture; never called for the newest."""
        oldest, following = self._shown[self._first].frame, self._shown[self._first + 1].frame
        assert oldest is not None
        assert following is not None
        if oldest.data is not following.data:
            self._nbytes -= len(oldest.data)
        self._shown[self._first] = self._shown[self._first]._replace(frame=None)
        self._first += 1
