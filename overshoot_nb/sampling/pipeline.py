"""Capture, sampler and encoder as one blocking iterator of samples, made for one worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import TracebackType
from typing import get_args

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.sources.kinds import FileSource, SourceConfig
from overshoot_nb.support.validation import check_choice
from overshoot_nb.types import ClipEncoding, EncodedFrame, Mode, ProcessingConfig, Sample

from .decoding import Shown
from .encoder import ClipEncoder, FrameEncoder, Picture
from .opening import VideoInfo
from .pacing import Pacer
from .preview import Preview, PreviewTrack
from .sampler import ClipSampler, FrameSampler, make_sampler
from .watching import Watching

#: Why a moment has no sample, of which nothing could be decoded.
UNDECODABLE = "undecodable"


@dataclass(slots=True)
class _OpenClip:
    number: int
    frames: list[EncodedFrame] = field(default_factory=list)
    newest: Fraction = Fraction(-1)  # media time of its newest frame
    lost: bool = False  # a frame could not be decoded
    video: ClipEncoder | None = None


class SampleReader:
    """The samples of a source, in time order.

    Iterate once, in one thread; it blocks while the source or ``wait`` does. Ends when the source
    ends or after :meth:`interrupt`, and then ``ending`` says why.

    Args:
        source: what to watch.
        processing: which moments: frame mode or clip mode.
        max_size: width and height in pixels to fit pictures into; they are never enlarged.
        jpeg_quality: 1 to 100.
        clip_encoding: "images", or "video" for each clip as an MP4 too.
        pacer: the clock of a file; without one, samples come as fast as they are taken.
        wait: in place of the pacer's own: called with the media time in seconds at which a sample
            is complete, before it is stamped; blocks until it is due. False stops the reading.
        on_status: told in words when a connection is lost and found again.
        on_drop: told (index, media time, reason) of each tick or clip that gave no sample:
            "undecodable" or "incomplete clip". The index that its sample would have had is left
            out. So it is told of each pushed frame that was "lost before the stream began".
        preview: what to show on the side, between the samples.
        first_index: index of the first sample.

    Attributes:
        live: whether the source paces itself; certain once it is open.
        ending: a sentence that says why it ended; "" before.

    Raises:
        ValidationError: a parameter is out of range, or the server alone can watch the source.
    """

    def __init__(
        self,
        source: SourceConfig,
        processing: ProcessingConfig,
        *,
        max_size: tuple[int, int] = config.MAX_SIZE,
        jpeg_quality: int = config.JPEG_QUALITY,
        clip_encoding: ClipEncoding = "images",
        pacer: Pacer | None = None,
        wait: Callable[[float], bool] | None = None,
        on_status: Callable[[str], None] | None = None,
        on_drop: Callable[[int, float, str], None] | None = None,
        preview: Preview | None = None,
        first_index: int = 0,
    ) -> None:
        check_choice("clip_encoding", clip_encoding, get_args(ClipEncoding))
        self._sampler = make_sampler(processing)
        self._encoder = FrameEncoder(max_size, jpeg_quality)
        self._as_video = clip_encoding == "video"
        self._pacer = pacer or Pacer(realtime=False, hold=False)
        self._wait = wait or self._pacer.wait
        self._on_drop = on_drop or (lambda index, media_time, reason: None)
        self._watching = Watching(source, pacer=pacer, on_status=on_status, max_size=max_size)
        self.live = source.live
        self._start_time = source.start_time if isinstance(source, FileSource) else None
        self._track: PreviewTrack | None = None
        if preview is not None:
            self._track = PreviewTrack(
                preview,
                self._sampler,
                pacer=self._pacer,
                wait=self._due,
                between=source.live or source.realtime,
            )
        self._index = first_index
        self._newest = Fraction(-1)  # media time of the newest frame given
        self._seen = False  # whether any frame was decoded
        self._encoded: tuple[Fraction, Picture | None, EncodedFrame] | None = None
        self._last_clip: tuple[tuple[EncodedFrame, ...], bytes | None] = (), None

    # ---- life ----------------------------------------------------------------------------------

    def open(self) -> VideoInfo:
        """Opens the source and decodes its first frame. Idempotent.

        Raises:
            SourceError: it cannot be opened or has no video.
        """
        info = self._watching.open(self._track or self._sampler)
        self.live = self._watching.source.live
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

    def change_interval(self, seconds: float) -> None:
        """Takes a frame every so many seconds, from the first moment on that was not chosen yet.

        From any thread; while a file is played, that is about a second ahead of its clock. The
        new moments are at the last old one plus ``k * seconds``.

        Raises:
            ValidationError: it is out of range, or this is clip mode.
        """
        if not isinstance(self._sampler, FrameSampler):
            raise ValidationError("interval_seconds is frame mode's: these are clips")
        self._sampler.change_interval(seconds)
        self._watching.sampler_changed()

    def interrupt(self) -> None:
        """Makes the iteration end soon. From any thread."""
        self._watching.interrupt()

    def close(self) -> None:
        """Lets go of the source. Idempotent; call it where the iteration runs, or after it."""
        self._encoded = None
        self._last_clip = (), None
        self._watching.close()

    def __enter__(self) -> SampleReader:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- samples -------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Sample]:
        """The samples.

        Raises:
            SourceError: the source cannot be opened or has no video.
            SourceEndedError: it ended without a single frame.
        """
        self.open()
        sampler = self._sampler
        if isinstance(sampler, FrameSampler):
            yield from self._frame_samples(sampler)
        else:
            yield from self._clip_samples(sampler)
        if not self._seen and not self._watching.stopped:
            raise self._watching.without_frames()

    def _frames(self) -> Iterator[Shown]:
        frames = self._watching.frames()
        for first in frames:
            for _ in range(self._watching.lost_before):
                self._drop(Fraction(0), "lost before the stream began")
            yield first
            break
        yield from frames

    def _frame_samples(self, sampler: FrameSampler) -> Iterator[Sample]:
        for shown in self._frames():
            ticks = sampler.take(shown.start, shown.end)
            if shown.frame is None:
                for tick in ticks:
                    self._drop(sampler.time(tick), UNDECODABLE)
                continue
            if self.live:
                # After a stall one frame covers many ticks: nothing is asked about twice.
                seen = shown.start * shown.unit <= self._newest
                ticks = ticks[:0] if seen else ticks[:1]
            if not self._pass_by(shown, sampler.time(ticks[0]) if ticks else None):
                return
            if not ticks:
                continue
            frames = (self._encode(shown)[1],)  # the same for all: it is one picture
            for tick in ticks:
                at = float(sampler.time(tick))
                if not self._due(at):
                    return
                yield self._sample("frame", at, frames, due=at)

    def _clip_samples(self, sampler: ClipSampler) -> Iterator[Sample]:
        clips: dict[int, _OpenClip] = {}
        try:
            for shown in self._frames():
                for number, positions in sampler.take(shown.start, shown.end):
                    clip = clips.setdefault(number, _OpenClip(number))
                    if shown.frame is None:
                        clip.lost = True
                    else:
                        self._extend(clip, shown, positions)
                complete = sampler.complete(shown.end)
                finished = [n for n in sorted(clips) if n < complete]
                due = _due_at(sampler, clips[finished[0]]) if finished else None
                if not self._pass_by(shown, due):
                    return
                for number in finished:
                    sample = self._finished(sampler, clips.pop(number))
                    if sample is not None:
                        yield sample
                    if self._watching.stopped:
                        return
            for number in sorted(clips):
                if self._watching.stopped:
                    return
                sample = self._finished(sampler, clips.pop(number))
                if sample is not None:
                    yield sample
        finally:
            for clip in clips.values():
                if clip.video is not None:
                    clip.video.discard()

    def _extend(self, clip: _OpenClip, shown: Shown, positions: range) -> None:
        picture, encoded = self._encode(shown)
        clip.newest = shown.start * shown.unit
        # A position for each frame: a slow video repeats its frames, with the same bytes.
        clip.frames.extend([encoded] * len(positions))
        if picture is not None:
            if clip.video is None:
                assert isinstance(self._sampler, ClipSampler)
                clip.video = ClipEncoder(encoded.width, encoded.height, self._sampler.fps)
            for position in positions:
                clip.video.add(picture, position)

    def _finished(self, sampler: ClipSampler, clip: _OpenClip) -> Sample | None:
        """The sample of a clip to which nothing more comes, or None, with the reason counted."""
        if len(clip.frames) < config.MIN_CLIP_FRAMES:
            self._drop(sampler.time(clip.number), UNDECODABLE if clip.lost else "incomplete clip")
        elif self.live and clip.newest <= self._newest:
            pass  # nothing new was seen in it
        else:
            start, due = float(sampler.time(clip.number)), float(_due_at(sampler, clip))
            if self._due(due):
                frames, video = self._last_clip
                if tuple(clip.frames) != frames:
                    frames = tuple(clip.frames)
                    video = clip.video.finish() if clip.video is not None else None
                    clip.video = None
                    self._last_clip = frames, video
                elif clip.video is not None:
                    clip.video.discard()
                self._newest = max(self._newest, clip.newest)
                return self._sample("clip", start, frames, video, due=due)
        if clip.video is not None:
            clip.video.discard()
        return None

    def _encode(self, shown: Shown) -> tuple[Picture | None, EncodedFrame]:
        """The picture, where clips are videos too, and its JPEG; made once for a frame."""
        at = shown.start * shown.unit
        if self._encoded is None or self._encoded[0] != at:
            self._seen = True
            # What is a JPEG already stays the very same one: no second generation.
            encoded = shown.encoded
            if encoded is not None and not self._encoder.takes(encoded):
                encoded = None
            picture: Picture | None = None
            if self._as_video or encoded is None:
                picture = self._encoder.picture(
                    shown.frame, shown.rotation, shown.aspect, shown.mirrored
                )
                encoded = encoded or self._encoder.encode(picture, float(at), shown.captured_at)
            self._encoded = at, picture if self._as_video else None, encoded
            if isinstance(self._sampler, FrameSampler):
                self._newest = at
        return self._encoded[1], self._encoded[2]

    def _pass_by(self, shown: Shown, sample_at: Fraction | None) -> bool:
        """Shows what comes before the sample; False when stopped meanwhile."""
        return self._track is None or self._track.pass_by(shown, sample_at)

    def _due(self, media_time: float) -> bool:
        if not self._watching.stopped and not self._wait(media_time):
            self.interrupt()
        return not self._watching.stopped

    def _sample(
        self,
        mode: Mode,
        media_time: float,
        frames: tuple[EncodedFrame, ...],
        video: bytes | None = None,
        *,
        due: float,
    ) -> Sample:
        captured_at = taken_at = datetime.now(UTC)
        if self._start_time is not None:
            captured_at = self._start_time + timedelta(seconds=media_time)
        elif frames[0].captured_at is not None:
            captured_at = frames[0].captured_at
        sample = Sample(
            self._index,
            mode,
            media_time,
            captured_at,
            frames,
            video,
            None if captured_at is taken_at else taken_at,
        )
        self._index += 1
        if self._track is not None:
            self._track.sampled(sample.index, frames[-1], due)
        return sample

    def _drop(self, media_time: Fraction, reason: str) -> None:
        self._on_drop(self._index, float(media_time), reason)
        self._index += 1


def _due_at(sampler: ClipSampler, clip: _OpenClip) -> Fraction:
    """Media time of the last frame of a clip."""
    return sampler.time(clip.number) + Fraction(len(clip.frames) - 1, sampler.fps)
