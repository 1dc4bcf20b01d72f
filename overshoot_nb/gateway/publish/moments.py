"""Which frames go on the wire: nearly all of them, but never more than so many a second.

A video that is read has frames at known times: one is taken for each tick. Pushed pictures come
when they come: each is taken at once, unless that would be too many.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Protocol

from overshoot_nb.sampling.decoding import Shown
from overshoot_nb.sampling.sampler import NONE, Grid, Sampler

#: A picture that stays is sent again so often: what was lost on the way arrives after all, and
#: receivers that give out a frame when the next one comes have not long to wait.
REPEAT_SECONDS = Fraction(1, 2)
#: A video that plays this many seconds late is thinned out, to this many frames a second, so that
#: its decoder can catch up.
MAX_LATE_SECONDS = 0.2
LATE_FPS = 2


class Moments(Sampler, Protocol):
    """A sampler for the wire."""

    def takes(self, shown: Shown) -> bool:
        """Whether a frame that capture gave goes on the wire: others may have asked for it."""


class ReadMoments:
    """For files and live streams.

    Args:
        fps: frames a second, at most.
        late: how many seconds ago a media time in seconds was due.
    """

    def __init__(self, fps: int, late: Callable[[float], float]) -> None:
        step = Fraction(1, fps)
        # A tick at the very edge of frames would find two in one and none in the next, as their
        # times are rounded to milliseconds in some containers: it falls well inside a frame at
        # `fps` and at twice that.
        self._grid = Grid(step / 4, step)
        self._sparse = Grid(step / 4, step * ceil(Fraction(fps, LATE_FPS)))
        self._late = late
        self._unit = Fraction(1)

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See ``Sampler``; as ticks fall well inside frames, exact."""
        self._unit = time_base
        self._grid.bind(time_base)
        self._sparse.bind(time_base)

    def wants(self, start: int, end: int) -> bool:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        if not self._grid.wants(start, end):
            return False
        late = self._late(float(start * self._unit)) > MAX_LATE_SECONDS
        return not late or self._sparse.wants(start, end)

    def due(self, after: int) -> int:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        return max(after + 1, self._grid.ceil(self._grid.over(after)))

    def takes(self, shown: Shown) -> bool:
        """See :class:`Moments`."""
        return self._grid.wants(shown.start, shown.end)


class PushedMoments:
    """For pictures that are pushed: the newest, when there is room for it, and again if it stays.

    Args:
        fps: frames a second, at most, on average; two may be half a tick closer together.
    """

    def __init__(self, fps: int) -> None:
        self._step = Fraction(1, fps)
        self._unit = Fraction(1)
        self._promised = self._taken = -1  # times, in units
        self._free = Fraction(0)  # when the next one is due at an even pace, in units

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`; no time of a frame is compared."""
        self._unit = time_base

    def wants(self, start: int, end: int) -> bool:
        """Never: a picture that was replaced before its turn is old."""
        return False

    def due(self, after: int) -> int:
        """See :class:`~overshoot_nb.sampling.sampler.Sampler`."""
        step = self._step / self._unit
        if after == self._taken:
            self._promised = after + ceil(REPEAT_SECONDS / self._unit)
        else:
            self._promised = max(after + 1, ceil(self._free - step / 2))
        return self._promised

    def takes(self, shown: Shown) -> bool:
        """See :class:`Moments`."""
        if shown.end - 1 != self._promised:
            return False
        self._taken = self._promised
        self._free = max(self._free, Fraction(self._taken)) + self._step / self._unit
        return True
