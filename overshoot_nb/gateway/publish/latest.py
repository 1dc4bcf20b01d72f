"""One frame from the thread that plays a video to the loop that sends it; the newest wins."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av


class FeedEnded(Exception):
    """No more frames come."""


class LatestFrame:
    """A place for one frame, from any thread to one coroutine of one loop.

    Putting never waits: a wire that is slower than the video misses frames and is never late.

    Args:
        loop: the loop on which :meth:`get` is awaited.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._frame: av.VideoFrame | None = None
        self._ended = False
        self._cleared = False
        self._ready = asyncio.Event()

    def put(self, frame: av.VideoFrame) -> None:
        """Leaves a frame in place of one that was not taken. From any thread."""
        with self._lock:
            waiting = self._frame is not None
            if not self._cleared:
                self._frame = frame
        if not waiting:
            self._wake()

    def finish(self) -> None:
        """Says that no more come; one that was not taken yet still is. From any thread."""
        with self._lock:
            self._ended = True
        self._wake()

    def clear(self) -> None:
        """Lets go of the frame that waits, and keeps none from now on. From any thread."""
        with self._lock:
            self._cleared = self._ended = True
            self._frame = None
        self._wake()

    async def get(self) -> av.VideoFrame:
        """The newest frame, each at most once; waits for one.

        Raises:
            FeedEnded: no more come.
        """
        while True:
            self._ready.clear()
            with self._lock:
                if (frame := self._frame) is not None:
                    self._frame = None
                    return frame
                if self._ended:
                    raise FeedEnded
            await self._ready.wait()

    def _wake(self) -> None:
        # The loop may be closed by now; then nobody waits either.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ready.set)
