"""The tracks of a container that go into another one as they are, packet by packet."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import av.error

from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.sampling.opening import is_cover
from overshoot_nb.sampling.plan import MAX_GAP

from .captions import Caption
from .subtitles import srt_escaped

logger = logging.getLogger("overshoot_nb")

_MILLISECOND = Fraction(1, 1000)
_TX3G_BYTES = 2**16 - 1
#: What is heard or read: never left out without a word.
_NEEDED = ("audio", "subtitle")


class CopiedTrack:
    """A track of the output that gets the packets of one of the input, bytes untouched.

    Args:
        output: the container being written.
        track: the input's.
    """

    def __init__(self, output: Any, track: Any) -> None:
        self._output = output
        self._newest: int | None = None
        self.stream = output.add_stream_from_template(track)
        _describe(self.stream, track)

    def write(self, packet: Any, base: Fraction, *, joined: bool = False) -> None:
        """Writes a packet, ``base`` seconds earlier than it was.

        Args:
            packet: of the input.
            base: seconds.
            joined: whether it is of a recording that follows another one in the file: what would
                come before the end of that one is left out.
        """
        if base:
            shift = round(base / packet.time_base)
            if packet.pts is not None:
                packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
        at = packet.dts
        if at is not None:
            if joined and self._newest is not None and at <= self._newest:
                return
            self._newest = at
        packet.stream = self.stream
        self._output.mux(packet)

    def finish(self) -> None:
        """Nothing is left."""


class TranscodedSound:
    """A sound track of the output, as AAC, of one that its format cannot hold.

    Args:
        output: the container being written.
        track: the input's.
    """

    def __init__(self, output: Any, track: Any) -> None:
        self._output = output
        self._decoder = track.codec_context
        rate = self._decoder.sample_rate
        if rate not in _AAC_RATES:
            rate = min((r for r in _AAC_RATES if r > rate), default=_AAC_RATES[-1])
        layout = "mono" if self._decoder.layout.nb_channels == 1 else "stereo"
        self.stream = output.add_stream("aac", rate=rate, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self._newest: int | None = None
        _describe(self.stream, track)

    def write(self, packet: Any, base: Fraction, *, joined: bool = False) -> None:
        """As of :class:`CopiedTrack`."""
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            if frame.pts is not None:
                at = round((frame.pts * frame.time_base - base) / Fraction(1, frame.sample_rate))
                if joined and self._newest is not None and at < self._newest:
                    continue
                self._newest = at + frame.samples
                frame.pts, frame.time_base = at, Fraction(1, frame.sample_rate)
            self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        """Writes what is left."""
        self._encode(self._resampler.resample(None))
        self._output.mux(self.stream.encode(None))

    def _encode(self, frames: Sequence[Any]) -> None:
        for frame in frames:
            self._output.mux(self.stream.encode(frame))


#: What AAC knows, in samples a second (ISO/IEC 14496-3, table 1.18).
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)

#: Seconds that decoding times may step back before they are another recording's.
STEP_BACK = Fraction(1, 10)


class Clocks:
    """Where the packets of a file belong whose clock may be set anew, as in recordings that were
    joined: each begins where the one before it ended, and every track goes with the picture.

    Args:
        video: the picture's track.
        origin: the time of its first frame, in seconds.
    """

    def __init__(self, video: Any, origin: Fraction) -> None:
        self._video = video.index
        rate = video.average_rate or video.guessed_rate or 25
        self._usual = 1 / Fraction(rate)
        self._bases = [origin]  # of each recording: the time in it at media time zero
        self._places: list[int] = [0]  # where each begins in the file
        self._newest: dict[int, tuple[int, Fraction]] = {}  # of each track
        self._end = Fraction(0)
        #: Time of the first frame of the next recording, where it is decoded before the last ones
        #: of this; else None.
        self.beyond: Fraction | None = None

    @property
    def recordings(self) -> int:
        """How many were found so far."""
        return len(self._bases)

    def base(self, packet: Any) -> tuple[Fraction, int] | None:
        """Seconds from media time to the packet's, and which recording it is of; in their order.

        None: of the next recording, whose picture did not come yet. It is to be asked about again.
        """
        number = packet.dts if packet.dts is not None else packet.pts
        is_video = packet.stream.index == self._video
        recording, newest = self._newest.get(packet.stream.index, (0, None))
        if number is None:
            return self._bases[recording], recording
        at = number * packet.time_base
        stepped = newest is not None and (
            at < newest - STEP_BACK or at > newest + Fraction(MAX_GAP)
        )
        if is_video and stepped:
            shown = (packet.pts if packet.pts is not None else number) * packet.time_base
            if self.beyond is not None:
                shown, self.beyond = min(shown, self.beyond), None
            self._bases.append(shown - self._end)
            self._places.append(packet.pos or 0)
            recording += 1
        elif not is_video and recording + 1 < len(self._bases):
            place = self._places[recording + 1]
            recording += stepped or (bool(place) and (packet.pos or -1) >= place)
        elif stepped:
            return None
        self._newest[packet.stream.index] = recording, at
        if is_video and packet.pts is not None:
            length = packet.duration * packet.time_base if packet.duration else self._usual
            if length > MAX_GAP:
                length = self._usual
            shown = packet.pts * packet.time_base
            if shown - at > MAX_GAP:
                self.beyond = min(shown, self.beyond or shown)
            else:
                self._end = max(self._end, shown + length - self._bases[recording])
        return self._bases[recording], recording


class SubtitleTrack:
    """The captions as a track of the output that players can show and hide.

    Args:
        output: the container being written.

    Raises:
        MissingDependencyError: this PyAV cannot write text.
    """

    def __init__(self, output: Any) -> None:
        if not hasattr(output, "add_mux_stream"):
            raise MissingDependencyError(
                f"annotate(burn=False) needs PyAV 17 or newer, and this is {av.__version__}: "
                'pip install "av>=17,<20" (burn=True and to_srt() work with this one)'
            )
        self._output = output
        self._tx3g = output.format.name != "matroska"
        self.stream = output.add_mux_stream("mov_text" if self._tx3g else "subrip")
        self.stream.time_base = _MILLISECOND

    def write(self, captions: Sequence[Caption], shift: Fraction) -> None:
        """Writes all captions, ``shift`` seconds later than they are."""
        for caption in captions:
            data = self._packed(caption.text)
            # Memory of FFmpeg's own: the muxer of PyAV 17.0.0 reads Python's after it is freed.
            packet = av.Packet(len(data))
            packet.update(data)
            start, end = (
                max(0, round((Fraction(time) + shift) / _MILLISECOND))
                for time in (caption.start, caption.end)
            )
            packet.pts = packet.dts = start
            packet.duration = max(1, end - start)
            packet.time_base = _MILLISECOND
            packet.stream = self.stream
            self._output.mux(packet)

    def _packed(self, text: str) -> bytes:
        if not self._tx3g:
            return srt_escaped(text).encode()
        # Its length in two bytes comes first; letters that were cut in two at its end go.
        data = text.encode()[:_TX3G_BYTES].decode(errors="ignore").encode()
        return len(data).to_bytes(2, "big") + data


#: What the packets of a track are given to.
OtherTrack = CopiedTrack | TranscodedSound


def copied_tracks(
    source: Any, video: Any, output: Any, *, sound: bool = True
) -> dict[int, OtherTrack]:
    """Tracks of the output for all but ``video``, by the input's index of each.

    Without ``sound`` no audio track is among them. One that the format cannot hold becomes AAC.

    Cover pictures are left out, and so are data and further videos that the format cannot hold,
    which is logged.

    Raises:
        ValidationError: the format cannot hold a subtitle track, or nothing here can decode an
            audio track that it cannot hold.
    """
    return {
        track.index: CopiedTrack(output, track) if held else TranscodedSound(output, track)
        for track, held in _others(source, video, output)
        if sound or track.type != "audio"
    }


def _others(source: Any, video: Any, output: Any) -> Iterator[tuple[Any, bool]]:
    """The tracks, and whether the format holds each as it is."""
    form = output.format.name
    for track in source.streams:
        cover = track.type == "video" and is_cover(source, track)
        if track.index == video.index or cover or track.type == "attachment":
            continue
        if _holds(form, track):
            yield track, True
            continue
        if track.type == "audio" and track.codec_context is not None:
            logger.info(
                "the sound (%s) does not fit into %s, and becomes AAC",
                track.codec_context.name,
                form,
            )
            yield track, False
            continue
        codec = track.codec_context.name if track.codec_context else "unknown"
        if track.type in _NEEDED:
            raise ValidationError(
                f"a {form} file cannot hold the {track.type} track of the source ({codec}), which "
                "is copied as it is: give a path that ends in .mkv"
            )
        logger.info("track %d (%s, %s) does not fit into %s", track.index, track.type, codec, form)


def _holds(form: str, track: Any) -> bool:
    """Whether a file of that format can have the track: whether one with it alone has a header."""
    try:
        scratch = av.open(io.BytesIO(), "w", format=form)
        try:
            scratch.add_stream_from_template(track)
            scratch.start_encoding()
        finally:
            scratch.close()
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError):
        return False
    return True


def _describe(stream: Any, track: Any) -> None:
    """What the track is: its language, its title."""
    for name in ("language", "title"):
        if value := track.metadata.get(name):
            stream.metadata[name] = value
