"""The packets of an open container, segment by segment, at times that belong together.

A segment is a run of packets of one clock: a new one begins where that was set anew and a keyframe
follows. A clock that is set anew between two keyframes goes on within its segment: its packets are
given the times that follow, and the decoder notices nothing. Where nothing was to be seen for a
while timestamps jump too, and are right.
"""

from __future__ import annotations

import errno
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

import av.error

from .plan import AHEAD, MAX_GAP
from .web import body_of

#: Faults in a row after which a container counts as unreadable.
MAX_FAULTS = 16
#: Seconds that timestamps may jump ahead in formats whose clock can be reset, unlooked at.
MAX_STEP_AHEAD = 10.0
#: Seconds without a picture that a file may have before a keyframe, by its own timestamps, in
#: formats whose clock can be reset; else MAX_GAP. What is recorded anew begins with a keyframe.
MAX_GAP_BEFORE_KEYFRAME = 600.0
#: The same for a live playlist, whose segments come long after their pictures were taken.
MAX_GAP_OF_PLAYLIST = 60.0
#: Seconds by which a file may be longer than it says: playlists do not count the gaps in their
#: last segment.
LENGTH_SLACK = 60.0
#: A source has caught up once it took so many seconds for at most PACE times as many of video.
CAUGHT_UP_SECONDS = 0.3
PACE = 1.5
#: Seconds after which it counts as caught up anyway.
MAX_CATCH_UP_SECONDS = 3.0
#: The unit of times that are those of arrival, in seconds.
ARRIVAL_UNIT = Fraction(1, 1_000_000)
#: Seconds that decoding times may step back before it is a reset.
MAX_STEP_BACK = 0.1
_TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT


class PacketReader:
    """Reads the packets of one stream of an open container.

    Args:
        container, stream: as opened.
        live: the source paces itself.
        stop: ends the reading between two packets.
    """

    def __init__(self, container: Any, stream: Any, *, live: bool, stop: threading.Event) -> None:
        self.container = container
        self.stream = stream
        self.live = live
        self.damaged = 0
        #: What FFmpeg said when reading failed, or None.
        self.fault: BaseException | None = None
        #: Monotonic clock when the last packet came.
        self.read_at = self._began = time.monotonic()
        #: Seconds of a live source's clock between the last two packets; 0 for others.
        self.silence = 0.0
        #: Monotonic clock when pts 0 of the segment came, as its most punctual packet says, or
        #: would have come. Of a live source; infinite before its first packet.
        self.epoch = math.inf
        #: End of what was read so far, in pts of the segment; None before its first packet.
        self.top: int | None = None
        #: Whether packets come when their pictures were taken, give or take a moment.
        self.punctual = live and container.format.name != "hls"
        # A camera's pictures alone, one after the other: FFmpeg invents their times.
        self._by_arrival = live and container.format.name == "mpjpeg"
        self.unit: Fraction = ARRIVAL_UNIT if self._by_arrival else stream.time_base
        #: Whether the clock behind the timestamps was set anew: they do not tell the length then.
        self.set_anew = False
        #: Seconds of a file that were passed over, since this was last set to 0: more than an hour
        #: without a frame.
        self.passed_over = 0.0
        #: Whether packets came and no keyframe among them; None before the first packet.
        self.keyless: bool | None = None
        self._stop = stop
        self._body = body_of(container)
        self._carried: Any = None
        self._held: deque[tuple[Any, float]] = deque()  # read ahead, and when
        self._newest = -1  # time of the last packet that is timed by its arrival
        self._added = 0  # to the times of packets: what their clock was set back
        self._before = 0  # length of the segments before, in units
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._duration = max(1, round(1 / (Fraction(rate) * self.unit)))
        discont = live or bool(container.format.flags & _TS_DISCONT)
        # Where nothing resets the clock, it may be wrong all the same.
        self._ahead = self._units(MAX_STEP_AHEAD if discont else MAX_GAP)
        self._longest = self._units(MAX_GAP)
        self._back = self._units(MAX_STEP_BACK)
        self._reordered_back = self._units(1)
        gaps = (MAX_GAP_OF_PLAYLIST,) * 2 if live else (MAX_GAP, MAX_GAP_BEFORE_KEYFRAME)
        self._gaps = tuple(map(self._units, gaps))
        length = container.duration
        self._length = None
        if length and not live:
            self._length = self._units(length / 1e6 + LENGTH_SLACK)

    def _units(self, seconds: float) -> int:
        return round(Fraction(seconds) / self.unit)

    @property
    def ended_without_length(self) -> bool:
        """Whether FFmpeg calls it broken that a connection ended whose body names no length."""
        ended = isinstance(self.fault, OSError) and self.fault.errno == errno.EIO
        return ended and self._body is None and self.container.size < 0

    @property
    def more(self) -> bool:
        """Whether timestamps jumped: another segment follows."""
        return self._carried is not None

    def let_go(self) -> None:
        """Keeps no packet, and what the container itself would not close."""
        self._carried = None
        self._held.clear()
        if self._body is not None:
            self._body.close()

    def catch_up(self) -> None:
        """Reads what a live source had in store, up to what comes just now.

        So much of it is older than it seems: a connection opens with what was read to find out
        what is in it, and many servers begin with the last keyframe.
        """
        if self._by_arrival:
            return
        unit = float(self.unit)
        began = time.monotonic()
        seen: deque[tuple[float, float]] = deque()
        for packet in self._read():
            self._held.append((packet, self.read_at))
            if packet.pts is None:
                continue
            at, time_of = self.read_at, packet.pts * unit
            seen.append((at, time_of))
            while len(seen) > 2 and at - seen[1][0] >= CAUGHT_UP_SECONDS:
                seen.popleft()
            took, came = at - seen[0][0], time_of - seen[0][1]
            if took >= CAUGHT_UP_SECONDS and came <= PACE * took:
                return
            if at - began > MAX_CATCH_UP_SECONDS:
                return

    def _begin_pictures(self) -> None:
        """When the first picture came, which waited for the second one while this was opened."""
        for packet in self._read():
            self._held.append((packet, self.read_at))
            if len(self._held) == 3:
                break
        times = [at for _, at in self._held]
        if not times:
            return
        if len(times) == 3 and times[1] - times[0] < (times[2] - times[1]) / 4:
            times[0] = times[1] - (times[2] - times[1])
            self._held[0] = self._held[0][0], times[0]
        self._began = times[0]

    def run(self) -> Iterator[Any]:
        """Begins the next segment: its packets, in decode order."""
        unit = float(self.unit)
        if self._by_arrival:
            if self._newest < 0:
                self._begin_pictures()
            self.epoch = self._began
        else:
            stamped = ((p.pts, at) for p, at in self._held if p.pts is not None)
            self.epoch = min((at - pts * unit for pts, at in stamped), default=math.inf)
        self.top = None
        return self._segment()

    def _segment(self) -> Iterator[Any]:
        first: int | None = None
        last: int | None = None
        last_decode: int | None = None
        ahead, back, reordered_back = self._ahead, self._back, self._reordered_back
        live, unit, longest = self.live, float(self.unit), self._longest
        # An average knows the gaps, too: what a frame takes is what the one before it took.
        usual = min(self._duration, longest)
        packets = self._all_packets()
        while (packet := next(packets, None)) is not None:
            pts, dts = packet.pts, packet.dts
            if dts is not None:
                step, limit = 0 if last_decode is None else dts - last_decode, back
                last_decode = dts
            else:
                step = pts - last if pts is not None and last is not None else 0
                limit = reordered_back
            if step < -limit or (step > ahead and not self._gap(packet, step, first)):
                duration = self._duration
                if step > longest and not live:
                    self.passed_over += float(step * self.unit)
                    duration = min(duration, usual)
                else:
                    self.set_anew = True
                if packet.is_keyframe:
                    if first is not None and self.top is not None:
                        self._before += self.top - first
                    self._carried = packet
                    return
                pts, dts = self._set_right(packet, step, duration)
                if dts is not None:
                    last_decode = dts
            elif step > 0:
                usual = step
            if pts is not None:
                if live and self.read_at - pts * unit < self.epoch:
                    self.epoch = self.read_at - pts * unit
                if last is None or pts > last:
                    if last is not None and pts - last > longest and not live and dts is not None:
                        packets = self._without_hours(packet, packets, last, usual)
                        continue
                    first = pts if first is None else first
                    last = pts
                    duration = packet.duration or self._duration
                    if duration > longest:
                        packet.duration = duration = min(self._duration, usual)
                    self.top = pts + duration
            yield packet

    def _gap(self, packet: Any, step: int, first: int | None) -> bool:
        """Whether timestamps jumped ahead because there was nothing to see meanwhile."""
        pts = packet.pts if packet.pts is not None else packet.dts
        if self.punctual:
            # Only our own clock tells how long it was silent.
            came = self.read_at - float(pts * self.unit)
            return bool(came > self.epoch - MAX_STEP_AHEAD)
        if step > self._gaps[bool(packet.is_keyframe)]:
            return False
        if not packet.is_keyframe or self._length is None or first is None:
            return True
        return bool(self._before + pts - first <= self._length)

    def _without_hours(
        self, packet: Any, packets: Iterator[Any], last: int, usual: int
    ) -> Iterator[Any]:
        """The packets from one on that is decoded before the last frames ahead of a long gap.

        Decoding times come to the gap only some packets later.
        """
        edge = last + self._longest
        near = [packet]
        while len(near) <= AHEAD and (near[-1].dts is None or near[-1].dts <= edge):
            if (following := next(packets, None)) is None:
                break
            near.append(following)
        times = [p.pts for p in near if p.pts is not None]
        before = max((last, *(t for t in times if t <= edge)))
        after = min(t for t in times if t > edge)
        added = before + min(self._duration, usual) - after
        self.passed_over += float((after - before) * self.unit)
        if near[-1].dts is not None and near[-1].dts > edge:  # else it is that one time
            self._added += added
        for moved in near:
            if moved.pts is not None and moved.pts > edge:
                moved.pts += added
            if moved.dts is not None and moved.dts > edge:
                moved.dts += added
        return chain(near, packets)

    def _set_right(self, packet: Any, step: int, duration: int) -> tuple[int | None, int | None]:
        """Gives a packet, and those after it, times that follow those before it."""
        if self.punctual and packet.pts is not None and math.isfinite(self.epoch):
            come = round((self.read_at - self.epoch) / float(self.unit))
            added = max(come - packet.pts, duration - step)
        else:
            added = duration - step
        self._added += added
        _move(packet, added)
        return packet.pts, packet.dts

    def _all_packets(self) -> Iterator[Any]:
        """Every packet, in decode order, at the times of the segment that it comes in."""
        if (carried := self._carried) is not None:
            self._carried = None
            yield carried
        while self._held:
            packet, self.read_at = self._held.popleft()
            if self._by_arrival:
                self._stamp(packet)
            if self._added:
                _move(packet, self._added)
            yield packet
        yield from self._read()

    def _stamp(self, packet: Any) -> None:
        self._newest = max(self._newest + 1, round((self.read_at - self._began) * 1e6))
        packet.pts = packet.dts = self._newest

    def _read(self) -> Iterator[Any]:
        faults = 0
        stop = self._stop
        while True:
            try:
                for packet in self.container.demux(self.stream):
                    if stop.is_set():
                        return
                    if not packet.size:
                        continue
                    faults = 0
                    if self.keyless is not False:
                        self.keyless = not packet.is_keyframe
                    if self.live:
                        now = time.monotonic()
                        self.silence = now - self.read_at
                        self.read_at = now
                        if self._newest >= 0:
                            self._stamp(packet)
                    if self._added:
                        _move(packet, self._added)
                    yield packet
                if self._body is not None and self._body.broken:
                    self.fault = OSError(self._body.broken)
                return
            except av.error.InvalidDataError as error:
                # One damaged packet: the next may be whole again.
                self.damaged += 1
                faults += 1
                if faults >= MAX_FAULTS:
                    self.fault = error
                    return
            except (av.error.FFmpegError, OSError) as error:
                self.fault = error
                return


def _move(packet: Any, added: int) -> None:
    if packet.pts is not None:
        packet.pts += added
    if packet.dts is not None:
        packet.dts += added
