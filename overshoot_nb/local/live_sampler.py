"""Which of the frames that arrive are looked at. The clock is arrival: nothing waits for a frame.

The ticks are those of `overshoot_nb.sampling.sampler`; the frame of a tick is the newest one then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from overshoot_nb import config
from overshoot_nb.sampling.sampler import Grid
from overshoot_nb.support.validation import exact
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, ProcessingConfig

if TYPE_CHECKING:
    import av

#: Pixels of a clip's frames together; a clip that would have more gets fewer frames.
MAX_CLIP_PIXELS = 24_000_000

#: Ticks come at least so far apart, whatever was asked for: a video has no more frames.
LEAST_SECONDS = 1 / 60

_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A frame as it came.

    Attributes:
        at: when, on the clock of the loop.
    """

    frame: av.VideoFrame
    at: float


Chosen = Callable[[tuple[Received, ...]], object]


class _Ticks:
    """Calls back at each tick of a grid that starts now. Ticks that were missed are one.

    Where the callback says True, the next tick waits for `resume`.
    """

    def __init__(self, grid: Grid, start: float, tick: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._grid = grid
        grid.bind(_MICROSECOND)
        self._start = start
        self._tick = tick
        self._next = 0
        self._handle: asyncio.TimerHandle | None = None
        self.resume()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def count(self, moment: float) -> int:
        """How many ticks there were until a moment."""
        return self._grid.over(round((moment - self._start) / _MICROSECOND))

    def resume(self) -> None:
        """Go on with the next tick that is not over; nothing where it goes on already."""
        if self._handle is None:
            soonest = 0.0
            if self._next:
                now = self._loop.time()
                self._next = max(self._next, self.count(now))
                soonest = now + LEAST_SECONDS
            due = self._start + self._grid.ceil(self._next) * float(_MICROSECOND)
            self._handle = self._loop.call_at(max(due, soonest), self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._next += 1
        if not self._tick():
            self.resume()


class FrameChooser:
    """At once, then every ``interval_seconds`` the newest frame; none twice.

    A tick to which nothing new has come takes the next frame as soon as it is there.
    """

    def __init__(self, processing: FrameProcessingConfig, chosen: Chosen) -> None:
        self._step = exact(processing.interval_seconds)
        self._chosen = chosen
        self._newest: Received | None = None
        self._owed = False
        self._ticks: _Ticks | None = None

    def arrived(self, received: Received) -> None:
        """A frame has come."""
        self._newest = received
        if self._ticks is None:
            self._give()
            self._ticks = _Ticks(Grid(self._step, self._step), received.at, self._tick)
        elif self._owed:
            self._give()
            self._ticks.resume()

    def close(self) -> None:
        """No more ticks. Idempotent."""
        if self._ticks is not None:
            self._ticks.cancel()
        self._newest = None
        self._owed = False

    def _tick(self) -> bool:
        self._owed = self._newest is None
        if not self._owed:
            self._give()
        return self._owed

    def _give(self) -> None:
        newest, self._newest = self._newest, None
        self._owed = False
        if newest is not None:
            self._chosen((newest,))


class ClipChooser:
    """Every ``delay_seconds`` the last ``clip_length_seconds`` at ``target_fps``.

    A clip with nothing newer than the one before is left out. A video that is slower than
    ``target_fps`` repeats its frames. At most `config.ENGINE_PICTURES` frames and
    `MAX_CLIP_PIXELS` pixels: a longer clip has its frames further apart.
    """

    def __init__(self, processing: ClipProcessingConfig, chosen: Chosen) -> None:
        self._processing = processing
        self._chosen = chosen
        self._plan: tuple[int, Fraction] | None = None
        self._newest: Received | None = None
        self._last: Received | None = None  # the newest that was given
        self._frames: deque[Received] = deque()
        self._collected = 0
        self._ticks: tuple[_Ticks, _Ticks] | None = None

    def arrived(self, received: Received) -> None:
        """A frame has come."""
        self._newest = received
        plan = self._planned(received.frame.width * received.frame.height)
        if plan != self._plan:
            # Only then: a browser's picture grows and shrinks with what the network bears.
            self._plan = plan
            self._start(received.at, *plan)

    def close(self) -> None:
        """No more ticks. Idempotent."""
        for ticks in self._ticks or ():
            ticks.cancel()
        self._newest = self._last = None
        self._frames.clear()

    def _planned(self, pixels: int) -> tuple[int, Fraction]:
        """How many frames a clip has, and how far apart, when each has so many pixels."""
        fps, length = self._processing.target_fps, self._processing.clip_length_seconds
        count, step = int(fps * exact(length)), Fraction(1, fps)
        most = min(config.ENGINE_PICTURES, MAX_CLIP_PIXELS // max(1, pixels))
        room = max(config.MIN_CLIP_FRAMES, most)
        return (count, step) if count <= room else (room, exact(length) / room)

    def _start(self, now: float, count: int, step: Fraction) -> None:
        for ticks in self._ticks or ():
            ticks.cancel()
        self._frames = deque(maxlen=count)
        self._collected = 0
        ends = Grid((count - 1) * step, exact(self._processing.delay_seconds))
        self._ticks = (
            _Ticks(Grid(Fraction(0), step), now, self._collect),
            _Ticks(ends, now, self._finish),
        )

    def _collect(self) -> bool:
        """Take what is on screen now, for each tick up to now."""
        assert self._ticks is not None
        due = self._ticks[0].count(asyncio.get_running_loop().time())
        if self._newest is not None:
            missing = min(due - self._collected, self._frames.maxlen or 0)
            self._frames.extend([self._newest] * missing)
        self._collected = max(due, self._collected)
        return False

    def _finish(self) -> bool:
        # Both may be due at once, in whatever order.
        self._collect()
        frames = tuple(self._frames)
        if len(frames) == self._frames.maxlen and frames[-1] is not self._last:
            self._last = frames[-1]
            self._chosen(frames)
        return False


def make_chooser(processing: ProcessingConfig, chosen: Chosen) -> FrameChooser | ClipChooser:
    """What chooses as ``processing`` says, on the running loop; ``chosen`` gets what it chose."""
    if isinstance(processing, ClipProcessingConfig):
        return ClipChooser(processing, chosen)
    return FrameChooser(processing, chosen)
