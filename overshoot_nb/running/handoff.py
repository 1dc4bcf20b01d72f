"""The hand-off of samples from a stream's worker thread to the runtime's loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from overshoot_nb.types import Sample


class Handoff:
    """A bounded place for samples between one thread and one event loop.

    Args:
        loop: the loop that takes.
        newest_wins: real time: a sample that still waits when the next one comes is replaced by
            it. Otherwise the thread waits until there is room.
        capacity: samples that may wait when ``newest_wins`` is False.
        stays: whether a sample that waits is never replaced, as it will not wait long.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        newest_wins: bool,
        capacity: int = 1,
        stays: Callable[[Sample], bool] = lambda sample: False,
    ) -> None:
        self._loop = loop
        self._newest_wins = newest_wins
        self._capacity = capacity
        self._stays = stays
        self._samples: deque[Sample] = deque()
        self._room = threading.Condition()
        self._wake = asyncio.Event()
        self._finished = False

    def __len__(self) -> int:
        return len(self._samples)

    # ---- the thread's side ----

    def put(self, sample: Sample) -> Sample | None:
        """Hand ``sample`` over; returns the one that was lost for it, if any.

        That is the waiting one in real time, or ``sample`` itself when nobody takes any more.
        """
        replaced = None
        with self._room:
            if self._newest_wins:
                if self._samples and not self._stays(self._samples[-1]):
                    replaced = self._samples.pop()
            else:
                while len(self._samples) >= self._capacity and not self._finished:
                    self._room.wait()
            if self._finished:
                return sample
            self._samples.append(sample)
        self._notify()
        return replaced

    def finish(self) -> None:
        """No more samples come; those that wait are still taken."""
        with self._room:
            self._finished = True
            self._room.notify_all()
        self._notify()

    def _notify(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the loop is closed: the interpreter exits
            self._finished = True

    # ---- the loop's side ----

    async def get(self, ready: Callable[[Sample], bool] = lambda sample: True) -> Sample | None:
        """The next sample, or None when all have been taken and no more come.

        It stays here, where a newer one can replace it, until it is ``ready``; that is asked again
        at each :meth:`look_again`.
        """
        while True:
            with self._room:
                if self._samples and ready(self._samples[0]):
                    sample = self._samples.popleft()
                    self._room.notify_all()
                    return sample
                if self._finished and not self._samples:
                    return None
                self._wake.clear()
            await self._wake.wait()

    def look_again(self) -> None:
        """What waits may be ready now."""
        self._wake.set()

    def abandon(self) -> list[Sample]:
        """Take no more; returns the samples that were waiting."""
        with self._room:
            self._finished = True
            left = list(self._samples)
            self._samples.clear()
            self._room.notify_all()
        return left
