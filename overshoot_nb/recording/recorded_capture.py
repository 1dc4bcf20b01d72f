"""Frames of a recording: each recorded picture once, at its media time."""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING

import av
import simplejpeg

from overshoot_nb import config
from overshoot_nb.errors import OvershootError, SourceError
from overshoot_nb.running.run import Run
from overshoot_nb.sampling.decoding import Near, Shown
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.plan import MAX_GAP
from overshoot_nb.sampling.reading import CUT_OFF, WITHOUT_FRAMES
from overshoot_nb.sampling.sampler import Sampler
from overshoot_nb.sources.replay import Replay
from overshoot_nb.support.validation import exact
from overshoot_nb.types import EncodedFrame

if TYPE_CHECKING:
    from overshoot_nb.store.stored_sample import StoredSample

    from .replay_script import Part

#: Recorded times are floats. Rounded down, none is later than the moment that it was asked for.
_UNIT = Fraction(1, 10**9)
_LONGEST = round(MAX_GAP / _UNIT)


class RecordedCapture:
    """The pictures of a recorded run. Those of a restarted run follow those of the run before.

    More than an hour without a picture is passed over, as in a file.
    """

    def __init__(self, source: Replay) -> None:
        self.source = source
        self._stop = threading.Event()
        self._run: Run | None = None
        self._parts: list[tuple[Part, Fraction]] = []  # and the media time of its zero
        self._info = VideoInfo(0, 0, "mjpeg")
        self._end = 0  # of the last picture, in units
        self._passed_over = 0  # units of gaps, media time has none of them
        self.ending = ""
        self.reconnections = 0
        self.lost_before = 0

    def open(self) -> VideoInfo:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        if self._run is None:
            # Reads a file, for which pyarrow is loaded.
            from .held_file import HeldFile
            from .loading import load_run
            from .replay_script import parts_of

            source = self.source
            try:
                run: Run = load_run(HeldFile(source.url))
            except FileNotFoundError:
                raise SourceError(f"{source.shown}: no such file") from None
            except (OvershootError, OSError) as error:
                raise SourceError(f"{source.shown}: cannot be played: {error}") from None
            if not len(run.journal.frames):
                raise SourceError(f"{source.shown}: was recorded without pictures")
            self._run = run
            self._lay_out(parts_of(run))
            fps = run.info.fps if run.info is not None else None
            self._info = replace(self._info, fps=fps, duration=float(self._end * _UNIT))
        return self._info

    def _lay_out(self, parts: tuple[Part, ...]) -> None:
        """One part after the other, on one line of time."""
        zero = Fraction(0)
        for part in parts:
            seen = [moment.at for moment in part.moments if moment.missed is None]
            if not seen:
                continue
            self._parts.append((part, zero))
            # What was on screen after the last moment is not known: it is shown for that alone.
            self._end = _units(seen[-1]) + math.ceil(zero / _UNIT) + 2
            step = seen[-1] - seen[-2] if len(seen) > 1 else 0.0
            zero += exact(seen[-1]) + exact(step or config.INTERVAL_SECONDS)

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self.open()
        sampler.bind(_UNIT)
        following = self._pictures()
        start, encoded = next(following, (0, None))
        while encoded is not None and not self._stop.is_set():
            last = max(self._end - self._passed_over, start + 1), None
            after, next_encoded = next(following, last)
            if near is not None:
                near(float(start * _UNIT))
            if sampler.wants(start, after):
                yield Shown(
                    _decoded(encoded),
                    start,
                    after,
                    _UNIT,
                    encoded=encoded,
                    captured_at=encoded.captured_at,
                )
            start, encoded = after, next_encoded
        at = f"{float(start * _UNIT):.1f} s"
        if self._passed_over:
            at += f"; {float(self._passed_over * _UNIT) / 3600:.1f} hours {WITHOUT_FRAMES}"
        self.ending = f"stopped at {at}" if encoded is not None else f"end of the recording at {at}"
        if encoded is None and self._run is not None and not self._run.whole:
            self.ending = f"{CUT_OFF} at {at}: the recording was not finished"

    def _pictures(self) -> Iterator[tuple[int, EncodedFrame | None]]:
        """Each picture once, with the time in units from which it is shown; times grow."""
        if (run := self._run) is None:
            return
        stored = run.journal.frames
        newest, step, passed_over = -1, _units(config.INTERVAL_SECONDS), 0
        for part, zero in self._parts:
            # Clips may overlap: a picture waits until no later sample can have an earlier one.
            waiting: list[tuple[int, int, EncodedFrame]] = []
            order = count()
            for moment in (*part.moments, None):
                sample = stored.get(moment.index) if moment is not None else None
                if moment is not None and (sample is None or not sample.frames):
                    continue
                frames = _dated(sample) if sample is not None else ()
                if sample is not None and sample.mode == "frame":
                    # A clock that rounds had it a little after the moment at which it was seen.
                    at = min(frames[0].media_time, sample.media_time)
                    if at < frames[0].media_time:
                        frames = (replace(frames[0], media_time=at),)
                begins = _units(frames[0].media_time) if frames else math.inf
                while waiting and waiting[0][0] < begins:
                    at, _, encoded = heapq.heappop(waiting)
                    start = at + math.ceil(zero / _UNIT) - passed_over
                    if newest >= 0 and start - newest > _LONGEST:
                        passed_over += start - newest - step
                        self._passed_over = passed_over
                        start = newest + step
                    if start > newest:
                        if newest >= 0:
                            step = start - newest
                        newest = start
                        moved = replace(encoded, media_time=float(start * _UNIT))
                        yield start, moved if zero or passed_over else encoded
                for frame in frames:
                    heapq.heappush(waiting, (_units(frame.media_time), next(order), frame))

    def sampler_changed(self) -> None:
        """See ``Capture``. It is asked again at the next picture."""

    def interrupt(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()

    def close(self) -> None:
        """See :class:`~overshoot_nb.sampling.capture.Capture`."""
        self._stop.set()
        self._run = None  # its rows are as many as the stream's own


def _dated(sample: StoredSample) -> tuple[EncodedFrame, ...]:
    """Its pictures with the clock of the run that was recorded: what is seen is as old as then."""
    first = sample.frames[0].media_time
    if sample.captured_at.timestamp() == 0:  # a recording of others may not say
        return sample.frames
    return tuple(
        replace(frame, captured_at=sample.captured_at + timedelta(seconds=frame.media_time - first))
        for frame in sample.frames
    )


def _units(seconds: float) -> int:
    return math.floor(Fraction(seconds) / _UNIT)


def _decoded(encoded: EncodedFrame) -> av.VideoFrame | None:
    """The picture, None where it is damaged."""
    try:
        pixels = simplejpeg.decode_jpeg(encoded.data, "BGR")
    except ValueError:
        return None
    return av.VideoFrame.from_ndarray(pixels, format="bgr24")
