"""Files, devices and networks: loops, reconnections, and the end in words."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av.error

from overshoot_nb.errors import SourceError, ValidationError
from overshoot_nb.sources.kinds import CameraSource, FileSource, HLSSource

from .decoding import Decoding, Near, Shown
from .opening import ContainerSource, VideoInfo, close_input, describe, open_source, reason
from .sampler import Sampler

#: Words of an ``ending`` that tell of what was lost.
CUT_OFF, PASSED_OVER = "cut off", "passed over"
INDEX_AT_END = (
    "; its index (moov) stands at its end, and the server gives no parts of it (ranges): download "
    "it and give the file, or put the index first: ffmpeg -i in.mp4 -c copy -movflags +faststart "
    "out.mp4"
)
WITHOUT_FRAMES = f"without a frame were {PASSED_OVER}"

logger = logging.getLogger("overshoot_nb")

#: The shortest and the longest wait before an attempt to reconnect.
BACKOFF_SECONDS = (1.0, 30.0)
#: The part of a wait that is left to chance, so that many readers do not come back at once.
JITTER = 0.2
#: A video that ends this many seconds before its declared end was cut off.
CUT_OFF_SECONDS = 1.0
#: A camera may call its endless answer as long as a number can be; a file of pictures is shorter.
MAX_FILE_BYTES = 1 << 30


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
    """A source that FFmpeg opens. Media time grows across loops and reconnections.

    Of a file, more than an hour without a frame is taken for a clock that is wrong: it is said and
    passed over, so that media time goes on where the frame before would have left the screen.
    """

    def __init__(
        self,
        source: ContainerSource,
        on_status: Callable[[str], None],
        max_size: tuple[int, int] | None = None,
    ) -> None:
        #: See :class:`~overshoot_nb.sampling.capture.Capture`.
        self.source = self._source = source
        self._on_status = on_status
        self._max_size = max_size
        self._stop = threading.Event()
        self._decoding: Decoding | None = None
        self._info: VideoInfo | None = None
        self._end = Fraction(0)  # media time up to which was read, seconds
        # Monotonic clock at media time 0, as the first connection to a live source tells.
        self._zero: float | None = None
        self._damaged = 0
        self._passed_over = 0.0  # seconds of gaps, media time has none of them
        self.ending = ""
        self.reconnections = 0
        self.lost_before = 0

    def open(self) -> VideoInfo:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        if self._info is None:
            self._decoding = self._connect()
            self._info = describe(self._decoding.container, self._decoding.stream)
        return self._info

    def use_threads(self, count: int) -> None:
        """Decode with so many threads, 0 for one for each core. Before the first frame."""
        self.open()
        assert self._decoding is not None
        self._decoding.context.thread_count = count

    @property
    def fault(self) -> BaseException | None:
        """What FFmpeg said when reading failed for good, or None."""
        return self._decoding.fault if self._decoding is not None else None

    def sampler_changed(self) -> None:
        """See ``Capture``. It is asked again at the next packet."""

    def interrupt(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()

    def close(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()
        if self._decoding is not None:
            self._decoding.close()
            self._decoding = None

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self.open()
        offset = Fraction(0)
        resume: tuple[int, int] | None = None  # zero of the video, and what was given
        connections = 1
        while (decoding := self._decoding) is not None and not self._stop.is_set():
            before = self._end
            origin = yield from self._pass(decoding, sampler, near, offset, resume, connections)
            if self._stop.is_set():
                break
            progress = self._end > before
            problem = self._problem(decoding)
            if problem and self._reconnects and (progress or (self._endless and before > 0)):
                read_at = decoding.read_at
                if not self._reconnect(problem):
                    break
                assert self._decoding is not None
                connections += 1
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
        container, stream = open_source(self._source, self._max_size)
        try:
            self.source = _as_found(self._source, container)
            return Decoding(container, stream, live=self.source.live, stop=self._stop)
        except BaseException:
            close_input(container)
            raise

    def _pass(
        self,
        decoding: Decoding,
        sampler: Sampler,
        near: Near | None,
        offset: Fraction,
        resume: tuple[int, int] | None,
        connection: int,
    ) -> Generator[Shown, None, int]:
        """Every segment of an open container. Returns the pts of its time zero."""
        origin = 0
        first = True
        unit = decoding.unit
        sampler.bind(unit, decoding.within)
        if decoding.punctual and connection > 1:
            decoding.catch_up()
        while first or decoding.more:
            zero, packets = decoding.segment()
            # A live source that was away, or whose clock jumped: only our own clock tells how
            # long it was silent.
            begin = offset if first else self._end + Fraction(round(decoding.silence * 1000), 1000)
            floor = None
            if decoding.punctual and self._zero is not None:
                begin = self._came(decoding, zero)
                if begin < self._end:
                    # What a server sends again was seen; untimed frames have nothing but order.
                    floor = round(self._end / unit) - 1
                    begin = begin if zero is not None else self._end
            start = round(begin / unit)
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
                if decoding.passed_over:
                    self._pass_over(decoding)
                yield shown
            if decoding.top is not None:
                self._end = max(self._end, (decoding.top + shift) * unit)
            if decoding.passed_over:
                self._pass_over(decoding)
            if self._stop.is_set():
                break
            if connection == 1 and decoding.punctual and math.isfinite(decoding.epoch):
                zero_at = decoding.epoch - float(shift * unit)
                self._zero = zero_at if self._zero is None else min(self._zero, zero_at)
        self._damaged += decoding.damaged
        decoding.damaged = 0
        return origin

    def _came(self, decoding: Decoding, zero: int | None) -> Fraction:
        """Media time by our own clock of the first frame of a segment, whose pts is ``zero``."""
        assert self._zero is not None
        at = decoding.read_at
        if zero is not None and math.isfinite(decoding.epoch):
            at = decoding.epoch + float(zero * decoding.unit)
        return Fraction(at - self._zero).limit_denominator(1_000_000)

    def _pass_over(self, decoding: Decoding) -> None:
        """Says that nothing was to be seen for so long; media time goes on without it."""
        seconds, decoding.passed_over = decoding.passed_over, 0.0
        self._passed_over += seconds
        words = f"{seconds / 3600:.1f} hours {WITHOUT_FRAMES}"
        self._on_status(f"at {float(self._end):.1f} s {words}")
        logger.warning("%s: at %.1f s %s", self._source.label, float(self._end), words)

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
        source = self.source
        return source.remote if isinstance(source, FileSource) else True

    def _problem(self, decoding: Decoding) -> str:
        """Why reading ended before the video did, or ""."""
        url = "" if isinstance(self._source, CameraSource) else self._source.url
        # What is played as a file and has no end looks like a file that was cut off.
        endless = isinstance(self.source, FileSource) and self.source.remote and not decoding.live
        hint = "; if it has no end, open it with FileSource(url, live=True)" if endless else ""
        if decoding.fault is not None:
            if endless and decoding.ended_without_length:
                return ""
            if endless and decoding.keyless is None and "mp4" in decoding.container.format.name:
                hint = INDEX_AT_END
            return reason(decoding.fault, url) + hint
        # Only a playlist says its length otherwise than by its timestamps.
        told = not decoding.set_anew or decoding.container.format.name == "hls"
        length = self._length if told else None
        if decoding.live and (length is None or self._end < length - CUT_OFF_SECONDS):
            return "the other side ended it"
        if length is not None:
            length -= self._passed_over
        loops = isinstance(self._source, FileSource) and self._source.loop
        if length is not None and not loops and self._end < length - CUT_OFF_SECONDS:
            return f"it should be {length:.1f} s long" + hint
        return ""

    @property
    def _length(self) -> float | None:
        return self._info.duration if self._info is not None else None

    def _reconnect(self, problem: str) -> bool:
        """Opens the source again, waiting longer each time. False when interrupted."""
        attempt = 0
        if self._decoding is not None:
            self._decoding.close()
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
            self.reconnections += 1
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
            words = f"{CUT_OFF} at {at}: {problem}"
        if self._decoding is not None and self._decoding.keyless:
            words += "; no keyframe came, without which no frame can be decoded"
        if self._passed_over:
            words += f"; {self._passed_over / 3600:.1f} hours {WITHOUT_FRAMES}"
        if self._damaged:
            packets = "packet was" if self._damaged == 1 else "packets were"
            words += f"; {self._damaged} damaged {packets} {PASSED_OVER}"
        return words


def _as_found(source: ContainerSource, container: Any) -> ContainerSource:
    """A source as it turned out to be, now that it is open.

    Raises:
        ValidationError: it is live, and was to be read as a file.
    """
    if not isinstance(source, FileSource | HLSSource):
        return source
    form = container.format.name
    if form == "hls":
        if container.duration is not None and container.duration > 0:  # it has an end
            if isinstance(source, FileSource):
                return source
            return FileSource(
                source.url,
                realtime=source.realtime,
                timeout=source.timeout,
                headers=source.headers,
            )
        live = isinstance(source, HLSSource) or source.remote
    else:
        size = container.size
        endless = size is None or not 0 <= size < MAX_FILE_BYTES
        live = isinstance(source, FileSource) and source.remote and form == "mpjpeg" and endless
    if not live or source.live:
        return source
    if not source.realtime:
        raise ValidationError(
            f"{source.label} never ends, so it cannot be read to its end as fast as answers come: "
            "watch it with client.streams.create(...), without realtime=False"
        )
    if form == "hls":
        return HLSSource(source.url, timeout=source.timeout, headers=source.headers)
    assert isinstance(source, FileSource)
    return replace(source, live=True, loop=False)
