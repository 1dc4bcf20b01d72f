"""A video file with captions: its picture drawn on or copied, its other tracks copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from overshoot_nb.errors import SourceEndedError, SourceError
from overshoot_nb.sampling.opening import close_input, open_source
from overshoot_nb.sampling.picture import Orientation, pixel_aspect
from overshoot_nb.sampling.reading import ContainerCapture
from overshoot_nb.sources.kinds import FileSource

from .annotated_picture import BEYOND_SECONDS, ROUNDING, Span, UprightFrames, add_h264
from .annotated_tracks import Clocks, CopiedTrack, OtherTrack, SubtitleTrack, copied_tracks
from .captions import Caption
from .captions_drawing import CaptionPainter, Position

#: PyAV 14 loses packets of pictures that are copied, not of sound: there they are encoded.
COPIES_VIDEO = int(av.__version__.partition(".")[0]) >= 15
#: Damaged packets in a row after which a file counts as unreadable.
_MAX_FAULTS = 16
#: Packets that may wait for those of the picture.
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Look:
    """How captions are drawn: see :class:`~overshoot_nb.analysis.captions_drawing.CaptionPainter`.

    ``threads``: of the decoder and of the encoder; 0 is one for each core.
    """

    font_size: int | None
    position: Position
    threads: int


class Shown:
    """Which caption is on screen, asked in the order of time.

    Args:
        captions: by their start, one at a time.
    """

    def __init__(self, captions: Sequence[Caption]) -> None:
        self._captions = captions
        self._at = 0

    def text(self, time: float) -> str:
        """The text at that media time, "" where there is none; times never go back."""
        time += ROUNDING
        captions = self._captions
        while self._at < len(captions) and captions[self._at].end <= time:
            self._at += 1
        if self._at < len(captions) and captions[self._at].start <= time:
            return captions[self._at].text
        return ""


@dataclass(frozen=True, slots=True)
class _First:
    """What the first frame of a file tells: its time in seconds, and what frames will be like."""

    time: Fraction | None
    frame: Any
    aspect: Fraction


def annotate_file(
    source: FileSource,
    output: Path,
    captions: Sequence[Caption],
    span: tuple[float, float],
    look: Look | None,
    tick: Callable[[int, int | None], None],
    sound: bool = True,
) -> None:
    """Writes the file.

    Args:
        source: a local file.
        output: where to; its suffix says the format.
        captions: by their start, one at a time, of ``span`` alone.
        span: media time from and to which the video goes.
        look: how captions are drawn; None: they become a track of their own.
        tick: told how many frames are done, of how many where that is known.
        sound: whether it has the source's sound.

    Raises:
        SourceError: the file cannot be read, or has no video.
        ValidationError: the format cannot hold its tracks.
        OSError: the output cannot be written.
    """
    source = replace(source, loop=False, realtime=False)
    first = _first_frame(source)
    # Without times of their own packets cannot be copied: their times come out of the decoder.
    encode = not COPIES_VIDEO or first.time is None or (look is not None and bool(captions))
    if not encode:
        try:
            with _work(source, output, first, span, tick, sound) as work:
                work.copy(captions, soft=look is None and bool(captions))
            return
        except _NotCopied:
            pass  # nor where their clock is set anew: they may be of several recordings
    with _work(source, output, first, span, tick, sound) as work:
        work.encode(captions, look or Look(None, "bottom", 0), soft=look is None)


class _NotCopied(Exception):
    """The packets of the picture cannot go on as they are."""


@contextmanager
def _work(
    source: FileSource,
    output: Path,
    first: _First,
    span: tuple[float, float],
    tick: Callable[[int, int | None], None],
    sound: bool,
) -> Iterator[_Work]:
    container, video = open_source(source)
    try:
        with av.open(str(output), "w") as target:
            target.metadata.update(container.metadata)
            work = _Work(source, container, video, target, first, span, tick, sound)
            yield work
            work.finish()
    finally:
        close_input(container)


def _first_frame(source: FileSource) -> _First:
    container, video = open_source(source)
    try:
        frames = UprightFrames()
        for frame in _decoded(container, video):
            time = None if frame.pts is None else frame.pts * frame.time_base
            aspect = frames.upright_aspect(frame, pixel_aspect(video))
            return _First(time, frames.ready(frame), aspect)
    finally:
        close_input(container)
    raise SourceEndedError(f"{source.label}: has no frame that can be decoded")


def _decoded(container: Any, video: Any) -> Any:
    for packet in container.demux(video):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


class _Work:
    """One pass over the file."""

    def __init__(
        self,
        source: FileSource,
        container: Any,
        video: Any,
        target: Any,
        first: _First,
        span: tuple[float, float],
        tick: Callable[[int, int | None], None],
        sound: bool,
    ) -> None:
        self._sound = sound
        self._others: dict[int, OtherTrack] = {}
        self._source = source
        self._container, self._video, self._target = container, video, target
        self._first = first
        self._origin = first.time or Fraction(0)
        self._from, self._to = span
        self._tick = tick
        self._done = 0
        self._total = self._frames_expected()

    # ---- the picture is copied -----------------------------------------------------------------

    def copy(self, captions: Sequence[Caption], *, soft: bool) -> None:
        """Every packet as it is; a part begins at the keyframe before it."""
        try:
            picture = CopiedTrack(self._target, self._video)
        except ValueError:  # which is how PyAV says that the format cannot hold it
            raise _NotCopied from None
        others = self._other_tracks()
        # Players show the first track of a kind by default: the captions come after the source's.
        subtitles = SubtitleTrack(self._target) if soft else None
        base: Fraction | None = None if self._from > 0 else self._start()
        waiting: list[Any] = []
        clocks = Clocks(self._video, self._origin)
        if self._from > 0:
            keyframe = round((self._origin + Fraction(self._from)) / self._video.time_base)
            self._container.seek(keyframe, stream=self._video, backward=True)
        end = self._origin + Fraction(self._to) if self._to < float("inf") else None
        for packet in self._packets(others):
            # Frames are decoded before they are shown: all of the span are there by their dts.
            when = packet.dts if packet.dts is not None else packet.pts
            if end is not None and when is not None:
                at = when * packet.time_base
                if at >= end + BEYOND_SECONDS:
                    return
                if at >= end:
                    continue
            untimed = packet.stream.index == self._video.index and packet.pts is None
            if untimed or clocks.base(packet) is None or clocks.recordings > 1 or clocks.beyond:
                raise _NotCopied
            if base is None:
                if packet.stream.index != self._video.index:
                    waiting.append(packet)
                    continue
                base = packet.pts * packet.time_base
                # What was read before the keyframe belongs to it where it is not earlier.
                for other in waiting:
                    if other.pts is not None and other.pts * other.time_base >= base:
                        others[other.stream.index].write(other, base)
            if subtitles is not None:
                subtitles.write(captions, self._origin - base)
                subtitles = None
            if packet.stream.index == self._video.index:
                picture.write(packet, base)
                self._count()
            elif not self._from or packet.pts is None or packet.pts * packet.time_base >= base:
                others[packet.stream.index].write(packet, base)

    # ---- the picture is drawn on ---------------------------------------------------------------

    def encode(self, captions: Sequence[Caption], look: Look, *, soft: bool) -> None:
        """Every frame of the span through the encoder, with its caption; other tracks copied.

        Their times are those at which the samples were taken.
        """
        first, video = self._first, self._video
        capture = ContainerCapture(self._source, lambda text: None)
        try:
            capture.use_threads(look.threads)
            unit = video.time_base
            rate = video.average_rate or video.guessed_rate or 30
            # What the output's clock says at media time zero: sound may begin before the picture.
            lead = -Fraction(self._from) if self._from > 0 else self._origin - self._start()
            stream = add_h264(self._target, first.frame, unit, rate, first.aspect, look.threads)
            others = self._other_tracks()
            if soft:
                SubtitleTrack(self._target).write(captions, lead)
            painter = CaptionPainter(
                first.frame.width,
                first.frame.height,
                aspect=first.aspect,
                font_size=look.font_size,
                position=look.position,
                colorspace=int(first.frame.colorspace),
                color_range=int(first.frame.color_range),
            )
            shown = Shown([] if soft else captions)
            frames = UprightFrames((first.frame.width, first.frame.height), first.aspect)
            durations: dict[int, int] = {}
            usual = max(1, round(1 / (Fraction(rate) * unit)))

            def mux(packets: list[Any]) -> None:
                for packet in packets:
                    # The last one has no successor that would end it.
                    packet.duration = durations.pop(packet.pts, usual)
                    self._target.mux(packet)

            copying = self._copied(others, lead)
            every = Span(self._from, self._to, capture.interrupt)
            for seen in capture.frames(every):
                if seen.frame is None:
                    continue
                start = seen.start * seen.unit
                for at in copying:
                    if at >= start:
                        break
                pts = round((start + lead) / unit)
                durations[pts] = max(1, round((seen.end - seen.start) * seen.unit / unit))
                turn = Orientation(seen.rotation, seen.mirrored)
                ready = frames.ready(seen.frame, turn, seen.aspect)
                ready.pts, ready.time_base = pts, unit
                mux(stream.encode(painter.painted(ready, shown.text(float(start)))))
                self._count()
            mux(stream.encode(None))
            for _ in copying:
                pass
            if capture.fault is not None:
                raise SourceError(f"the source cannot be read on: {capture.fault}") from None
        finally:
            capture.close()

    def _other_tracks(self) -> dict[int, OtherTrack]:
        self._others = copied_tracks(self._container, self._video, self._target, sound=self._sound)
        return self._others

    def finish(self) -> None:
        """Write what the other tracks hold back."""
        for track in self._others.values():
            track.finish()

    def _copied(self, others: dict[int, OtherTrack], lead: Fraction) -> Iterator[Fraction]:
        """Copies the other tracks; yields at each packet of the picture how far that is."""
        if not others:
            return
        clocks = Clocks(self._video, self._origin)
        # Packets of the next recording that are read before those of its picture.
        waiting: list[Any] = []

        def write(packet: Any, base: Fraction, recording: int, at: Fraction | None) -> None:
            if at is None or self._from <= at < self._to or (not self._from and at < 0):
                track = others[packet.stream.index]
                track.write(packet, base - lead, joined=recording > 0)

        for packet in self._packets(others):
            recordings = clocks.recordings
            placed = None
            if not any(packet.stream.index == other.stream.index for other in waiting):
                placed = clocks.base(packet)
            if placed is None:
                if len(waiting) < _MAX_WAITING:  # else it is no recording, but a broken track
                    waiting.append(packet)
                continue
            when = packet.dts if packet.dts is not None else packet.pts
            at = None if when is None else when * packet.time_base - placed[0]
            if at is not None and at >= self._to + BEYOND_SECONDS:
                return
            if packet.stream.index != self._video.index:
                write(packet, *placed, at)
                continue
            if clocks.recordings > recordings:
                ready, waiting = waiting, []
                for other in ready:
                    if (place := clocks.base(other)) is not None:
                        when = other.dts if other.dts is not None else other.pts
                        write(other, *place, when * other.time_base - place[0])
            if at is not None:
                yield at

    # ---- reading -------------------------------------------------------------------------------

    def _packets(self, others: dict[int, OtherTrack]) -> Any:
        """The packets of all wanted tracks."""
        wanted = [self._container.streams[index] for index in (self._video.index, *others)]
        faults = 0
        packets = self._container.demux(wanted)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.InvalidDataError as error:
                faults += 1
                if faults >= _MAX_FAULTS:
                    raise SourceError(f"the source cannot be read on: {error}") from None
                packets = self._container.demux(wanted)
                continue
            faults = 0
            if packet.size:
                yield packet

    def _start(self) -> Fraction:
        """Where the source's clock begins: a broadcast's may be hours ahead of zero."""
        start = self._container.start_time
        return Fraction(start, 1_000_000) if start else Fraction(0)  # av.time_base

    def _count(self) -> None:
        self._done += 1
        self._tick(self._done, self._total)

    def _frames_expected(self) -> int | None:
        video, rate = self._video, self._video.average_rate
        duration: int | None = self._container.duration
        if self._from <= 0 and self._to == float("inf") and video.frames:
            return int(video.frames)
        if not duration or not rate:
            return None
        seconds = min(self._to, duration / 1e6) - max(self._from, 0.0)
        return max(1, round(seconds * float(rate)))
