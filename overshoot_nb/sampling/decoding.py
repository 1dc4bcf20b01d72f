"""An open container becomes frames with media time, one segment after the other.

Within a segment media time is ``pts + shift`` in units of the stream's time base.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import av.error

from overshoot_nb.types import EncodedFrame

from .opening import close_input
from .packets import PacketReader
from .picture import Aspects, Orientations, deinterlaced, over_white
from .plan import AHEAD, Pace, Planned, clean_start, plan_file, plan_live
from .sampler import NONE, Sampler

#: Blocks until a media time in seconds is near.
Near = Callable[[float], None]

#: Packets to read before the first keyframe is given up on.
MAX_LEAD_IN = 300
#: About what decoding takes on a slow core, in seconds a pixel. Packets held back are decoded in
#: one go when their turn comes: so much earlier it must begin for the frame to be in time.
DECODE_SECONDS = 3e-9
#: Clocks as fine as this count no frames, unless a frame is as short.
FINE_UNIT = Fraction(1, 500)


class Shown(NamedTuple):
    """A frame that is on screen during ``[start, end)`` of media time, in units of ``unit``.

    ``frame`` is None where the wanted frame could not be decoded. ``rotation`` (degrees
    counter-clockwise, after left and right were exchanged where ``mirrored``) and ``aspect`` (width
    of a pixel over its height) are what is left to do. ``encoded`` is the same picture as the JPEG
    that it came from, where there is one. ``captured_at`` is the UTC wall clock of what it shows,
    where the source knows that of each frame.
    """

    frame: Any | None
    start: int
    end: int
    unit: Fraction
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    encoded: EncodedFrame | None = None
    mirrored: bool = False
    captured_at: datetime | None = None


class Decoding(PacketReader):
    """The frames of one open container.

    Args:
        container, stream: as opened; ``close`` closes them.
        live: the source paces itself, so nothing is read ahead and the decoder must not wait.
        stop: ends the reading between two packets.
    """

    def __init__(self, container: Any, stream: Any, *, live: bool, stop: threading.Event) -> None:
        super().__init__(container, stream, live=live, stop=stop)
        self.context = stream.codec_context
        self._orientations = Orientations()
        self._aspects = Aspects(stream, self._orientations)
        self._intra_only = bool(self.context.codec.intra_only)
        # A clock that is not much finer than the frames counts them, and rounds nothing.
        rounds = self._duration >= (2 if self.unit <= FINE_UNIT else 4)
        #: Seconds by which a frame's time may be rounded up.
        self.within = self.unit / 2 if rounds else NONE
        # Frame threads hold back as many frames as there are threads.
        self.context.thread_type = "SLICE" if live else "AUTO"

    def close(self) -> None:
        """Lets go of the decoder, then of the container. Idempotent; where it is read."""
        self.let_go()
        close_input(self.container)
        self.context = None

    # ---- packets -------------------------------------------------------------------------------

    def segment(self) -> tuple[int | None, Iterator[Any]]:
        """Begins the next segment: the pts that is its time zero, and its packets.

        Zero is the pts of the first frame that will be shown. None: the packets carry no usable
        pts, only the order of the frames tells their time.
        """
        packets = self.run()
        lead_in: list[Any] = []
        key = None
        untimed = 0
        avi = self.container.format.name == "avi" and bool(self.context.has_b_frames)
        for packet in packets:
            lead_in.append(packet)
            untimed += packet.pts is None
            if key is None and packet.is_keyframe and (packet.pts is not None or untimed > AHEAD):
                key = packet
            if avi or untimed > AHEAD or len(lead_in) >= MAX_LEAD_IN:
                break
            if key is not None and not packet.is_discard:
                break
        rest = chain(lead_in, packets)
        times = [p.pts for p in lead_in if p.pts is not None]
        # AVI has no pts: FFmpeg counts its frames in the order of decoding.
        if avi or not times or untimed > AHEAD:
            return None, rest
        if key is None or key.pts is None:
            return times[0], rest
        if not key.is_discard:
            return key.pts, rest
        # An edit list hides the first frames: the first one shown is among the next few.
        more = []
        for packet in packets:
            more.append(packet)
            if len(more) >= AHEAD:
                break
        shown = [p.pts for p in chain(lead_in, more) if p.pts is not None and not p.is_discard]
        return min(shown, default=key.pts), chain(lead_in, more, packets)

    # ---- frames --------------------------------------------------------------------------------

    def timed(
        self,
        packets: Iterator[Any],
        sampler: Sampler,
        shift: int,
        floor: int | None = None,
        near: Near | None = None,
    ) -> Iterator[Shown]:
        """The wanted frames of a segment whose packets carry pts.

        Args:
            shift: media time less pts.
            floor: media time up to which frames were given before.
            near: see :class:`~overshoot_nb.sampling.capture.Capture`.
        """
        context = self.context
        wanted: dict[int, int] = {}
        pace = near and _Pace(near, wanted, shift, self.unit, context.width * context.height)
        skipping = False
        context.skip_frame = "DEFAULT"
        for packet, end, left_out in self._planned(packets, sampler, shift, floor, pace):
            if left_out:
                # Else H.264 silently loses a frame that is still inside the decoder.
                yield from self._chosen(self._decode(None), wanted, shift)
                context.flush_buffers()
            if end is None:
                if not skipping:
                    context.skip_frame = "NONREF"
                    skipping = True
            else:
                wanted[packet.pts] = end
                if skipping:
                    context.skip_frame = "DEFAULT"
                    skipping = False
            frames = self._decode(packet)
            if frames and wanted:
                yield from self._chosen(frames, wanted, shift)
        yield from self._chosen(self._decode(None), wanted, shift)
        context.flush_buffers()
        for pts in sorted(wanted):
            yield Shown(None, pts + shift, wanted[pts] + shift, self.unit)

    def _planned(
        self,
        packets: Iterator[Any],
        sampler: Sampler,
        shift: int,
        floor: int | None,
        pace: Pace | None,
    ) -> Iterator[Planned]:
        wants = sampler.wants

        def wanted(start: int, end: int) -> bool:
            return wants(start + shift, end + shift) and (floor is None or start + shift > floor)

        def last_end(pts: int, duration: int) -> int:
            return self._end(pts + shift, duration) - shift

        context = self.context
        if self.live:
            return plan_live(
                packets,
                wanted,
                frame_duration=self._duration,
                last_end=last_end,
                intra_only=self._intra_only,
                reorders=bool(context.has_b_frames),
            )
        clean = (
            (lambda packet: clean_start(packet, context.extradata))
            if context.name == "h264"
            else (lambda packet: True)
        )
        return plan_file(
            packets,
            wanted,
            frame_duration=self._duration,
            last_end=last_end,
            intra_only=self._intra_only,
            clean=clean,
            pace=pace,
        )

    def _end(self, at: int, duration: int) -> int:
        """When the last frame leaves the screen.

        Its time and its duration may both be rounded up: the sum would be a tick's too many.
        """
        stream = self.stream
        for rate in (stream.guessed_rate, stream.base_rate, stream.average_rate):
            if not rate:
                continue
            each = 1 / (Fraction(rate) * self.unit)
            number = round(at / each)
            if abs(duration - each) < 1 and 2 * abs(at - number * each) <= 1:
                return math.floor((number + 1) * each + Fraction(1, 2))
        return at + duration

    def untimed(
        self, packets: Iterator[Any], sampler: Sampler, shift: int, near: Near | None = None
    ) -> Iterator[Shown]:
        """The wanted frames of a segment without pts: everything is decoded, order is time."""
        self.context.skip_frame = "DEFAULT"
        stamps: deque[int] = deque()
        pending: tuple[Any, int] | None = None
        first: int | None = None
        clock = Fraction(0)
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        exact = 1 / (Fraction(rate) * self.unit)
        for packet in chain(packets, (None,)):
            if packet is not None:
                if packet.dts is not None:
                    # Those before it may have had none.
                    first = packet.dts - round(clock) if first is None else first
                    if packet.dts - first - clock > self._longest:
                        first = packet.dts - round(clock)
                    clock = max(clock, Fraction(packet.dts - first))
                stamps.append(round(clock))
                # Durations in milliseconds are rounded, and there may be many.
                step = packet.duration or self._duration
                clock += exact if abs(step - exact) < 1 or step > self._longest else step
                self.top = round(clock)
            for frame in self._decode(packet):
                at = (stamps.popleft() if stamps else round(clock)) + shift
                if pending and sampler.wants(pending[1], at):
                    yield self._shown(pending[0], pending[1], at)
                pending = frame, at
                if near is not None:
                    near(float(at * self.unit))
        if pending:
            end = max(pending[1] + 1, round(clock) + shift)
            if sampler.wants(pending[1], end):
                yield self._shown(pending[0], pending[1], end)
        self.context.flush_buffers()

    def _decode(self, packet: Any | None) -> list[Any]:
        try:
            frames: list[Any] = self.context.decode(packet)
        except EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []
        return frames

    def _chosen(self, frames: list[Any], wanted: dict[int, int], shift: int) -> Iterator[Shown]:
        for frame in frames:
            pts = frame.pts
            if pts is None:
                continue
            end = wanted.pop(pts, None)
            for lost in sorted(p for p in wanted if p < pts):
                # Frames come out in display order: this one never will.
                yield Shown(None, lost + shift, wanted.pop(lost) + shift, self.unit)
            if end is not None:
                yield self._shown(frame, pts + shift, end + shift)

    def _shown(self, frame: Any, start: int, end: int) -> Shown:
        rotation, mirrored = self._orientations.of(frame)
        aspect = self._aspects.of(frame)
        if frame.interlaced_frame:
            frame = deinterlaced(frame, self.stream)
        return Shown(over_white(frame), start, end, self.unit, rotation, aspect, mirrored=mirrored)


class _Pace:
    """The clock of a file, for the plan of one segment."""

    def __init__(
        self, near: Near, wanted: dict[int, int], shift: int, unit: Fraction, pixels: int
    ) -> None:
        self._near = near
        self._wanted = wanted  # what is inside the decoder
        self._shift = shift
        self._unit = unit
        self._decode_seconds = pixels * DECODE_SECONDS

    def approach(self, pts: int, held: int) -> None:
        if not self._wanted:
            self._near(float((pts + self._shift) * self._unit) - held * self._decode_seconds)

    def awaited(self) -> bool:
        return bool(self._wanted)
