"""Files, devices and networks: loops, reconnections, and the end in words."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from fractions import Fraction

import av.error

from overshoot_nb.errors import SourceError
from overshoot_nb.sampler import Sampler
from overshoot_nb.sources import CameraSource, FileSource, HLSSource

from .decoding import Decoding, Near, Shown
from .opening import ContainerSource, VideoInfo, describe, open_source, reason

__all__ = ["ContainerCapture", "reconnect_delay"]

#: The shortest and the longest wait before an attempt to reconnect.
BACKOFF_SECONDS = (1.0, 30.0)
#: The part of a wait that is left to chance, so that many readers do not come back at once.
JITTER = 0.2
#: A video that ends this many seconds before its declared end was cut off.
CUT_OFF_SECONDS = 1.0


def reconnect_delay(attempt: int) -> float:
    """Seconds to wait before an attempt to reconnect, counted from 1.

    Doubles from the shortest to the longest of ``BACKOFF_SECONDS``, give or take ``JITTER``, and
    is never outside them.
    """
    low, high = BACKOFF_SECONDS
    # Beyond 2**16 every wait is the longest; unlimited powers overflow after a night.
    delay = min(high, low * (1 << min(attempt - 1, 16)))
    return min(high, max(low, delay * random.uniform(1 - JITTER, 1 + JITTER)))


class ContainerCapture:
    """A source that FFmpeg opens. Media time grows across loops and reconnections."""

    def __init__(self, source: ContainerSource, on_status: Callable[[str], None]) -> None:
        self._source = source
        self._on_status = on_status
        self._stop = threading.Event()
        self._decoding: Decoding | None = None
        self._info: VideoInfo | None = None
        self._end = Fraction(0)  # media time up to which was read, seconds
        self._damaged = 0
        self.ending = ""

    def open(self) -> VideoInfo:
        """See :class:`~overshoot_nb.capture.Capture`."""
        if self._info is None:
            self._decoding = self._connect()
            self._info = describe(self._decoding.container, self._decoding.stream)
        return self._info

    def sampler_changed(self) -> None:
        """See :class:`~overshoot_nb.capture.Capture`. It is asked again at the next packet."""

    def interrupt(self) -> None:
        """See :class:`~overshoot_nb.capture.Capture`."""
        self._stop.set()

    def close(self) -> None:
        """See :class:`~overshoot_nb.capture.Capture`."""
        self._stop.set()
        if self._decoding is not None:
            self._decoding.close()
            self._decoding = None

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """See :class:`~overshoot_nb.capture.Capture`."""
        self.open()
        offset = Fraction(0)
        resume: tuple[int, int] | None = None  # zero of the video, and what was given
        while (decoding := self._decoding) is not None and not self._stop.is_set():
            before = self._end
            origin = yield from self._pass(decoding, sampler, near, offset, resume)
            if self._stop.is_set():
                break
            progress = self._end > before
            problem = self._problem(decoding)
            if problem and self._reconnects and (progress or (self._endless and before > 0)):
                read_at = decoding.read_at
                if not self._reconnect(problem):
                    break
                assert self._decoding is not None
                if self._endless:
                    # What happened meanwhile was not seen, but its time passed.
                    offset = self._end + Fraction(max(0.0, time.monotonic() - read_at))
                    offset = offset.limit_denominator(1_000_000)
                else:
                    resume = self._seek(self._decoding, origin)
            elif isinstance(self._source, FileSource) and self._source.loop and progress:
                self._replace(self._connect())
                offset = self._end
                resume = None
            else:
                self.ending = self._in_words(problem)
                return
        self.ending = self.ending or f"stopped at {float(self._end):.1f} s"

    # ---- one connection ------------------------------------------------------------------------

    def _connect(self) -> Decoding:
        container, stream = open_source(self._source)
        live = self._source.live and not self._finite_hls(container.duration)
        return Decoding(container, stream, live=live, stop=self._stop)

    def _finite_hls(self, duration: int | None) -> bool:
        return isinstance(self._source, HLSSource) and duration is not None and duration > 0

    def _pass(
        self,
        decoding: Decoding,
        sampler: Sampler,
        near: Near | None,
        offset: Fraction,
        resume: tuple[int, int] | None,
    ) -> Generator[Shown, None, int]:
        """Every segment of an open container. Returns the pts of its time zero."""
        origin = 0
        first = True
        unit = decoding.unit
        sampler.bind(unit, decoding.within)
        while first or decoding.more:
            zero, packets = decoding.segment()
            # A live source whose clock jumped: only our own clock tells how long it was silent.
            begin = offset if first else self._end + Fraction(round(decoding.silence * 1000), 1000)
            start = round(begin / unit)
            floor = None
            if zero is None:
                frames = decoding.untimed(packets, sampler, start, near)
                shift = start
            else:
                shift = start - zero
                if first:
                    origin = zero
                    if resume is not None:
                        origin, floor = resume
                        shift = -origin
                frames = decoding.timed(packets, sampler, shift, floor, near)
            first = False
            for shown in frames:
                if decoding.top is not None:
                    self._end = max(self._end, (decoding.top + shift) * unit)
                yield shown
            if decoding.top is not None:
                self._end = max(self._end, (decoding.top + shift) * unit)
            if self._stop.is_set():
                break
        self._damaged += decoding.damaged
        decoding.damaged = 0
        return origin

    def _replace(self, decoding: Decoding) -> None:
        if self._decoding is not None:
            self._decoding.close()
        self._decoding = decoding

    # ---- faults --------------------------------------------------------------------------------

    @property
    def _endless(self) -> bool:
        """Whether the source has no end of its own: what ends is the connection."""
        return self._decoding is not None and self._decoding.live

    @property
    def _reconnects(self) -> bool:
        source = self._source
        return source.remote if isinstance(source, FileSource) else True

    def _problem(self, decoding: Decoding) -> str:
        """Why reading ended before the video did, or ""."""
        url = "" if isinstance(self._source, CameraSource) else self._source.url
        if decoding.fault is not None:
            return reason(decoding.fault, url)
        length = self._length
        if decoding.live and (length is None or self._end < length - CUT_OFF_SECONDS):
            return "the other side ended it"
        loops = isinstance(self._source, FileSource) and self._source.loop
        if length is not None and not loops and self._end < length - CUT_OFF_SECONDS:
            return f"it should be {length:.1f} s long"
        return ""

    @property
    def _length(self) -> float | None:
        return self._info.duration if self._info is not None else None

    def _reconnect(self, problem: str) -> bool:
        """Opens the source again, waiting longer each time. False when interrupted."""
        attempt = 0
        if self._decoding is not None:
            self._decoding.container.close()
        while True:
            attempt += 1
            delay = reconnect_delay(attempt)
            self._on_status(
                f"connection lost: {problem}; reconnecting in {delay:.0f} s (attempt {attempt})"
            )
            if self._stop.wait(delay):
                return False
            try:
                self._replace(self._connect())
            except SourceError as error:
                problem = error.stderr or str(error)
                continue
            self._on_status("connected again")
            return True

    def _seek(self, decoding: Decoding, origin: int) -> tuple[int, int]:
        """Goes on where a finite source broke off."""
        at = round(self._end / decoding.unit)
        # Where it is not seekable it is read from its start; nothing is given twice.
        with suppress(av.error.FFmpegError):
            decoding.container.seek(at + origin, stream=decoding.stream, backward=True)
        return origin, at - 1

    def _in_words(self, problem: str) -> str:
        at = f"{float(self._end):.1f} s"
        words = f"end of file at {at}" if isinstance(self._source, FileSource) else f"end at {at}"
        if problem:
            words = f"cut off at {at}: {problem}"
        if self._damaged:
            packets = "packet was" if self._damaged == 1 else "packets were"
            words += f"; {self._damaged} damaged {packets} passed over"
        return words
