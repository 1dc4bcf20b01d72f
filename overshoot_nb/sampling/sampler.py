"""Which moments of a video are wanted: exact arithmetic on times, no pixels.

A frame is on screen during ``[start, end)``: from its own pts to that of the next frame in display
order. It serves every tick in that range, which is the rule "the last frame at or before the
tick". Times are whole numbers in units of a time base, media time zero being the first frame;
intervals are exact fractions. A grid of floats drifts: at 0.7 s it gives extra samples. A clock
that rounds shows a frame up to half a unit late: what is at most so much after a tick is at it.

A sampler is first bound to a time base. Capture asks ``wants`` in decode order, and what was
answered about a moment stays so; ``take`` is asked in display order and serves no tick twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from math import ceil, lcm
from typing import NamedTuple, Protocol

from overshoot_nb.support.validation import check_processing, exact
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, ProcessingConfig

#: Of a clock that does not round.
NONE = Fraction(0)


class Sampler(Protocol):
    """What capture needs to know of the wanted moments."""

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """Sets the unit of the times of the calls that follow, in seconds.

        A frame that begins at most ``within`` seconds after a tick counts as being there at it.
        """

    def wants(self, start: int, end: int) -> bool:
        """Whether a frame on screen during ``[start, end)`` serves any tick."""

    def due(self, after: int) -> int:
        """The first time later than ``after`` at which a tick falls, rounded up to a unit."""


class Grid:
    """Ticks at ``first + k * step`` seconds, k = 0, 1, 2, ..."""

    def __init__(self, first: Fraction, step: Fraction) -> None:
        self.first = first
        self.step = step
        self.bind(Fraction(1))

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See :class:`Sampler`."""
        # Everything in whole parts of a unit, of which there are _scale.
        first, step, late = self.first / time_base, self.step / time_base, within / time_base
        self._scale = lcm(first.denominator, step.denominator, late.denominator)
        self._late = late.numerator * (self._scale // late.denominator)
        # Frames may be late by so much: so are the ticks that they are compared with.
        self._first = first.numerator * (self._scale // first.denominator) + self._late
        self._step = step.numerator * (self._scale // step.denominator)

    def count(self, time: int) -> int:
        """How many ticks a frame that begins at ``time`` comes too late for."""
        return max(0, -((self._first - time * self._scale) // self._step))

    def over(self, time: int) -> int:
        """How many ticks are at ``time`` or before."""
        return max(0, -((self._first - self._late - time * self._scale - 1) // self._step))

    def wants(self, start: int, end: int) -> bool:
        """See :class:`Sampler`."""
        # count(end) > count(start), in one go: this is asked for every packet.
        tick = -((self._first - start * self._scale) // self._step)
        return self._first + (tick if tick > 0 else 0) * self._step < end * self._scale

    def ceil(self, tick: int) -> int:
        """When tick number ``tick`` is, rounded up to a unit."""
        return -(-(self._first - self._late + tick * self._step) // self._scale)


class _Stretch(NamedTuple):
    """The ticks from number ``number`` on, up to the first of the next stretch."""

    number: int
    grid: Grid


class FrameSampler:
    """A tick every ``interval_seconds``: tick k is at ``k * interval`` until that is changed.

    The interval is the fraction that is meant, see :func:`~overshoot_nb.support.validation.exact`.

    After a change they go on from the last tick before it, at the new distance, and are numbered
    on.

    Raises:
        ValidationError: the interval is out of range.
    """

    def __init__(self, processing: FrameProcessingConfig) -> None:
        check_processing(processing)
        self._stretches = [_Stretch(0, Grid(NONE, exact(processing.interval_seconds)))]
        self._changes: deque[Fraction] = deque(maxlen=1)
        self._next = 0
        self._asked = 0  # end of what was asked about, in units
        self._unit, self._within = Fraction(1), NONE

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See :class:`Sampler`."""
        self._asked = ceil(self._asked * self._unit / time_base)
        self._unit, self._within = time_base, within
        for stretch in self._stretches:
            stretch.grid.bind(time_base, within)

    def change_interval(self, seconds: float) -> None:
        """Other ticks from the first moment on that was not asked about yet. From any thread.

        They are at the last tick before that moment plus ``k * seconds``.

        Raises:
            ValidationError: ``seconds`` is out of range.
        """
        check_processing(FrameProcessingConfig(seconds))
        # Taken up by the thread that asks: it alone knows how far that got.
        self._changes.append(exact(seconds))

    def wants(self, start: int, end: int) -> bool:
        """See :class:`Sampler`."""
        if self._changes:
            self._take_up_change()
        if end > self._asked:
            self._asked = end
        if len(self._stretches) == 1:
            return self._stretches[0].grid.wants(start, end)
        return self._count(end) > self._count(start)

    def take(self, start: int, end: int) -> range:
        """The numbers of the ticks that the frame serves, each given once."""
        self._asked = max(self._asked, end)
        first = max(self._next, self._count(start))
        self._next = max(first, self._count(end))
        return range(first, self._next)

    def due(self, after: int) -> int:
        """See :class:`Sampler`."""
        if self._changes:
            self._take_up_change()
        tick = max(self._next, self._count(after, Grid.over))
        number, grid = self._stretch(tick)
        return max(after + 1, grid.ceil(tick - number))

    def time(self, tick: int) -> Fraction:
        """Media time of a tick in seconds."""
        number, grid = self._stretch(tick)
        return grid.first + (tick - number) * grid.step

    def _count(self, time: int, counted: Callable[[Grid, int], int] = Grid.count) -> int:
        following = None
        for number, grid in reversed(self._stretches):
            if count := counted(grid, time):
                count += number
                return count if following is None else min(count, following)
            following = number
        return 0

    def _stretch(self, tick: int) -> _Stretch:
        return next(s for s in reversed(self._stretches) if s.number <= tick)

    def _take_up_change(self) -> None:
        interval = self._changes.pop()
        number = self._count(self._asked)
        first = NONE
        if number:
            last = self.time(number - 1)
            asked = self._asked * self._unit - self._within
            first = last + ceil((asked - last) / interval) * interval
        if self._stretches[-1].number == number:
            self._stretches.pop()  # it has no tick
        grid = Grid(first, interval)
        grid.bind(self._unit, self._within)
        self._stretches.append(_Stretch(number, grid))


class ClipPart(NamedTuple):
    """What one frame is to one clip: the frame of each of ``positions`` (0 to n - 1)."""

    clip: int
    positions: range


class ClipSampler:
    """Clip j starts at ``j * delay``; its frame i of n is on screen at ``start + i / target_fps``.

    n is ``floor(target_fps * clip_length)``. Clips overlap when the delay is shorter than a clip.

    Raises:
        ValidationError: a parameter is out of range, or a clip has fewer than 3 frames.
    """

    def __init__(self, processing: ClipProcessingConfig) -> None:
        check_processing(processing)
        self.fps = int(processing.target_fps)
        #: Frames in a whole clip.
        self.length = int(self.fps * exact(processing.clip_length_seconds))
        self._delay = exact(processing.delay_seconds)
        self._until = NONE  # seconds up to which every tick was given
        self._served = self._unit = 0
        self.bind(Fraction(1))

    def bind(self, time_base: Fraction, within: Fraction = NONE) -> None:
        """See :class:`Sampler`."""
        if self._unit:
            self._until = Fraction(self._served, self._unit)
        # Everything in whole numbers of one unit: 1 / unit seconds.
        denominators = self._delay.denominator, self.fps, time_base.denominator, within.denominator
        unit = lcm(*denominators)
        self._late = within.numerator * unit // within.denominator
        self._factor = time_base.numerator * unit // time_base.denominator
        self._every = self._delay.numerator * unit // self._delay.denominator
        self._step = unit // self.fps
        self._span = (self.length - 1) * self._step
        self._unit = unit
        self._served = -(-self._until.numerator * unit // self._until.denominator)

    def wants(self, start: int, end: int) -> bool:
        """See :class:`Sampler`."""
        every, step, length = self._every, self._step, self.length
        start, end = max(0, start * self._factor - self._late), end * self._factor - self._late
        for clip in range(max(0, -((self._span - start) // every)), -(-end // every)):
            begin = clip * every
            position = max(0, -((begin - start) // step))
            if position < length and begin + position * step < end:
                return True
        return False

    def take(self, start: int, end: int) -> list[ClipPart]:
        """What the frame is to each clip, in order of the clips; nothing is given twice."""
        every, step, length = self._every, self._step, self.length
        start = max(self._served, start * self._factor - self._late)
        end = end * self._factor - self._late
        parts = []
        for clip in range(max(0, -((self._span - start) // every)), -(-end // every)):
            begin = clip * every
            first = max(0, -((begin - start) // step))
            stop = min(length, max(0, -((begin - end) // step)))
            if first < stop:
                parts.append(ClipPart(clip, range(first, stop)))
        self._served = max(self._served, end)
        return parts

    def complete(self, end: int) -> int:
        """All clips before this one are complete once frames are known up to ``end``."""
        return max(0, -((self._span - end * self._factor + self._late) // self._every))

    def due(self, after: int) -> int:
        """See :class:`Sampler`."""
        moment = after * self._factor + 1
        every, step = self._every, self._step
        first = max(0, -((self._span - moment) // every))
        times = []
        # The clips that are open then, and the one that starts next.
        for clip in range(first, max(first, moment // every + 1) + 1):
            position = max(0, -((clip * every - moment) // step))
            if position < self.length:
                times.append(clip * every + position * step)
        return max(after + 1, -(-min(times) // self._factor))

    def time(self, clip: int) -> Fraction:
        """Media time of the start of a clip in seconds."""
        return clip * self._delay


def make_sampler(processing: ProcessingConfig) -> FrameSampler | ClipSampler:
    """The sampler for a configuration.

    Raises:
        ValidationError: a parameter is out of range, or ``processing`` is no configuration.
    """
    if isinstance(processing, FrameProcessingConfig):
        return FrameSampler(processing)
    return ClipSampler(processing)
