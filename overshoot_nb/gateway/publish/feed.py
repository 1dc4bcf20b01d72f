"""A source, read and played for a wire: frames at their times, and pictures of what was sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING

from overshoot_nb import config
from overshoot_nb.sampling.decoding import Shown
from overshoot_nb.sampling.encoder import FrameEncoder
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.pacing import READ_AHEAD_SECONDS, Pacer
from overshoot_nb.sampling.preview import Preview, PreviewTrack
from overshoot_nb.sampling.watching import Watching
from overshoot_nb.sources.kinds import HLSSource, SourceConfig
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.support.validation import check_whole
from overshoot_nb.types import EncodedFrame

from .bursts import Bursts
from .latest import LatestFrame
from .moments import REPEAT_SECONDS, Moments, PushedMoments, ReadMoments
from .recent import RecentFrames
from .wire_format import WIRE_TIME_BASE, WireFormat

if TYPE_CHECKING:
    import av


class VideoFeed:
    """A source on its way to a wire; :meth:`run` in one worker thread.

    Frames are put at the pacer's pace, a live source's as they come; nothing waits for the wire.
    A playlist comes in bursts, and is put at its own pace behind them: see
    :class:`~overshoot_nb.gateway.publish.bursts.Bursts`.
    A picture that stays on screen is put again every half second, at its own new time.

    A pause of the pacer stops a file where it is; a live source is read on, and what comes
    meanwhile is not put.

    Args:
        source: what to watch.
        latest: where frames for the wire are put.
        recent: where pictures of them are kept.
        max_size: width and height in pixels to fit frames into; never more than 1280x720, and
            never enlarged.
        fps: frames a second, at most; 1 to 60.
        keep_fps: pictures kept a second, at most; the last before a pause or the end always is.
        jpeg_quality: of the pictures kept, 1 to 100.
        pacer: the clock; one in real time plays a file or pictures from memory at their own pace.
            Whoever interrupts the feed stops it too.
        preview: what to show on the side.
        on_status: told in words when a connection is lost and found again.

    Raises:
        ValidationError: a parameter is out of range, or the server alone can watch the source.
    """

    def __init__(
        self,
        source: SourceConfig,
        latest: LatestFrame,
        recent: RecentFrames,
        *,
        max_size: tuple[int, int] = config.MAX_SIZE,
        fps: int = 30,
        keep_fps: float = 10,
        jpeg_quality: int = config.JPEG_QUALITY,
        pacer: Pacer,
        preview: Preview | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        check_whole("fps", fps, 1, 60)
        self._latest = latest
        self._recent = recent
        self._pacer = pacer
        self._source = source
        self._live = source.live
        self._bursts: Bursts | None = None  # of a playlist, once it is open
        self._format = WireFormat(max_size)
        self._encoder = FrameEncoder(max_size, jpeg_quality)
        self._keep_apart = 1 / keep_fps
        self._apart = Fraction(1, fps)
        self._moments: Moments = (
            PushedMoments(fps)
            if isinstance(source, FrameSource)
            else ReadMoments(fps, self._pacer.late)
        )
        self._track: PreviewTrack | None = None
        if preview is not None:
            self._track = PreviewTrack(
                preview, self._moments, pacer=pacer, wait=self._due, between=True
            )
        self._watching = Watching(
            source, pacer=pacer, near=self._near, on_status=on_status, max_size=max_size
        )
        self._frame: av.VideoFrame | None = None  # the newest on the wire
        self._start = Fraction(-1)  # its own media time
        self._at = Fraction(-1)  # media time at which it was put last
        self._until = Fraction(0)  # media time at which it leaves the screen
        self._newest_pts = -1
        self._kept: EncodedFrame | None = None
        # The newest: when it was put, and the wall clock of what it shows.
        self._unkept: tuple[Fraction, float, datetime | None] | None = None

    # ---- life ----------------------------------------------------------------------------------

    def open(self) -> VideoInfo:
        """Opens the source and decodes its first frame. Idempotent.

        Raises:
            SourceError: it cannot be opened or has no video.
        """
        info = self._watching.open(self._track or self._moments)
        found = self._watching.source
        self._live = found.live or (self._live and not self._pacer.realtime)
        playlist = isinstance(self._source, HLSSource) or isinstance(found, HLSSource)
        if playlist and not self._pacer.realtime and self._bursts is None:
            self._bursts = Bursts(live=found.live)
            if self._watching.stopped:
                self._bursts.stop()
        return info

    @property
    def info(self) -> VideoInfo:
        """What is being watched; opens the source if need be."""
        return self.open()

    @property
    def source(self) -> SourceConfig:
        """What is watched; once it is open, as it turned out to be: live or a file."""
        return self._watching.source

    @property
    def ending(self) -> str:
        """Why it ended, in words; "" before."""
        return self._watching.ending

    @property
    def reconnections(self) -> int:
        """How often the source's connection was lost and found again."""
        return self._watching.reconnections

    def interrupt(self) -> None:
        """Makes :meth:`run` end soon. From any thread."""
        self._watching.interrupt()
        if self._bursts is not None:
            self._bursts.stop()

    def close(self) -> None:
        """Lets go of the source. Idempotent; call it where :meth:`run` runs, or after it."""
        self._watching.close()
        self._frame = self._kept = self._unkept = None

    def __enter__(self) -> VideoFeed:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self) -> None:
        """Plays the source to its end, or until it is interrupted, and says so to the wire.

        Raises:
            SourceError: the source cannot be opened or has no video.
            SourceEndedError: it ended without a single frame.
        """
        try:
            self.open()
            for shown in self._watching.frames():
                if shown.frame is not None and not self._show(shown):
                    break
            if self._frame is not None:
                self._end()
            elif not self._watching.stopped:
                raise self._watching.without_frames()
        finally:
            self._latest.finish()

    # ---- frames --------------------------------------------------------------------------------

    def _show(self, shown: Shown) -> bool:
        """Puts a frame and shows it to the preview, when it is due. False when stopped."""
        start = shown.start * shown.unit
        if self._bursts is not None:
            self._bursts.came(float(start))
        if self._moments.takes(shown):
            if self._live and self._pacer.paused:
                self._keep()
                if not self._due(float(start)):
                    return False
            elif self._frame is not None and start <= self._start:
                self._repeat((shown.end - 1) * shown.unit)
            else:
                if not self._stay(start):
                    return False
                frame = self._format.convert(
                    shown.frame, shown.rotation, shown.aspect, self._pts(start), shown.mirrored
                )
                if not self._due(float(start)):
                    return False
                self._put(frame, start, shown.end * shown.unit, shown.captured_at)
                shown = shown._replace(frame=frame, rotation=0, aspect=Fraction(1), mirrored=False)
        return self._track is None or self._track.pass_by(shown, None)

    def _put(
        self,
        frame: av.VideoFrame,
        start: Fraction,
        until: Fraction,
        captured_at: datetime | None,
    ) -> None:
        now = time.monotonic()
        self._latest.put(frame)
        self._frame, self._start, self._at, self._until = frame, start, start, until
        self._unkept = start, now, captured_at
        if self._kept is None or float(start) - self._kept.media_time >= self._keep_apart:
            self._keep()

    def _keep(self) -> None:
        """Keeps a picture of the newest frame, unless that was done."""
        if self._unkept is not None and self._frame is not None:
            at, shown_at, captured_at = self._unkept
            self._unkept = None
            picture = self._encoder.picture(self._frame)
            self._kept = self._encoder.encode(picture, float(at), captured_at)
            self._recent.add(self._kept, shown_at)

    def _end(self) -> None:
        """The last frame stays until its end, where it is put again: see ``REPEAT_SECONDS``."""
        end = max(self._until, self._at + self._apart)
        if not self._watching.stopped and self._stay(end) and self._due(float(end)):
            self._repeat(end)
        self._keep()

    # ---- frames that stay ----------------------------------------------------------------------

    def _stay(self, until: Fraction) -> bool:
        """Puts what is on screen again while it stays there. False when stopped."""
        bursts = self._bursts
        if self._frame is not None and (self._pacer.realtime or bursts is not None):
            while (again := self._at + REPEAT_SECONDS) < until:
                if bursts is not None and not bursts.due_in(float(again)):
                    self._at = again  # nothing came meanwhile; it cannot be made good
                    continue
                if not self._due(float(again)):
                    return False
                self._repeat(again)
        return True

    def _repeat(self, at: Fraction) -> None:
        assert self._frame is not None
        self._keep()
        now = time.monotonic()
        self._frame = self._format.again(self._frame, self._pts(at))
        self._latest.put(self._frame)
        self._at = at
        if self._kept is not None:
            self._kept = replace(self._kept, media_time=float(at))
            self._recent.add(self._kept, now)

    def _pts(self, at: Fraction) -> int:
        # Not asked of the newest frame: encoders give it their own time base.
        self._newest_pts = max(round(at / WIRE_TIME_BASE), self._newest_pts + 1)
        return self._newest_pts

    # ---- the clock -----------------------------------------------------------------------------

    def _due(self, media_time: float) -> bool:
        if not self._watching.stopped:
            clock_goes = self._bursts is None or self._bursts.wait(media_time)
            if not clock_goes or not self._pacer.wait(media_time, self._keep):
                self.interrupt()
        return not self._watching.stopped

    def _near(self, media_time: float) -> None:
        """Blocks until a media time is near; what is on screen stays there meanwhile."""
        if self._stay(Fraction(media_time - READ_AHEAD_SECONDS)):
            self._pacer.wait_until_near(media_time)
