"""``ClipPlayer``: the pictures of one sample as a small MP4 that a notebook plays."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
import av.error
import pybase64

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.support.html import escaped
from overshoot_nb.types import EncodedFrame, Sample

from .stills import TIME_BASE, StillsTrack

#: A single picture is a video of so many seconds.
STILL_SECONDS = 1.0
# A clip is short, looked at closely, and stays in the notebook's file: finer than what is sent to
# models, and without reordering, so that packets are as far apart as their frames.
_X264 = {"preset": "veryfast", "crf": "20", "bf": "0"}


class ClipPlayer:
    """The clip of one sample, played where a notebook shows its value.

    A clip that was sent as video is that video, byte for byte. Of others each frame is shown from
    its own time on, relative to the first one's, and the last as long as is usual in the clip; a
    frame that a slow video repeats is there once. A single picture is a video of one second.
    The MP4 is made when it is first needed, and kept.

    Args:
        sample: as in a stream's ``frames``.
        loop: play it again and again.

    Raises:
        ValidationError: the sample has no pictures.
    """

    def __init__(self, sample: Sample | StoredSample, *, loop: bool = False) -> None:
        self.sample = sample.sample if isinstance(sample, StoredSample) else sample
        self.loop = loop
        if not self.sample.frames and self.sample.video is None:
            raise ValidationError(f"sample {self.sample.index} has no pictures to play")

    @cached_property
    def data(self) -> bytes:
        """The MP4 (H.264).

        Raises:
            ValidationError: a picture is a broken JPEG, or the frames are no clip.
        """
        if self.sample.video is not None:
            return self.sample.video
        try:
            return _encoded(self.sample)
        except ValidationError as error:
            raise ValidationError(f"sample {self.sample.index}: {error}") from None
        except (av.error.FFmpegError, OverflowError) as error:  # frames that are years apart
            raise ValidationError(
                f"sample {self.sample.index} cannot be made a video: {error}"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the MP4 to a file, which is replaced where there is one already; gives its path.

        Raises:
            OSError: it cannot be written.
        """
        where = Path(path)
        where.write_bytes(self.data)
        return where

    def _repr_html_(self) -> str:
        first = self.sample.frames[0] if self.sample.frames else None
        # With its size known beforehand the page does not jump when it is there.
        size = f' width="{first.width}" height="{first.height}"' if first else ""
        loop = " loop" if self.loop else ""
        title = escaped(f"Sample {self.sample.index}, {self.sample.media_time:g} s")
        return (
            f'<video controls muted playsinline preload="auto"{loop}{size} title="{title}" '
            'style="max-width:100%;height:auto" src="data:video/mp4;base64,'
            f'{pybase64.b64encode_as_string(self.data)}">{title}</video>'
        )

    def __repr__(self) -> str:
        count = len(self.sample.frames)
        frames = "1 frame" if count == 1 else f"{count} frames"
        return f"<clip of sample {self.sample.index} at {self.sample.media_time:g} s: {frames}>"


def _encoded(sample: Sample) -> bytes:
    shown = _by_tick(sample.frames)
    ticks = list(shown)
    steps = [later - sooner for sooner, later in pairwise(ticks)]
    last = round(median(steps)) if steps else round(Fraction(STILL_SECONDS) / TIME_BASE)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        track = StillsTrack(container, shown[0], _X264)
        for (tick, picture), duration in zip(shown.items(), [*steps, last], strict=True):
            track.add(picture, tick, duration)
        track.finish()
    return file.getvalue()


def _by_tick(frames: tuple[EncodedFrame, ...]) -> dict[int, EncodedFrame]:
    """The frames in the order of their times since the first one's; of the same time, the last."""
    ordered = sorted(frames, key=lambda frame: frame.media_time)
    start = ordered[0].media_time
    return {round(Fraction(f.media_time - start) / TIME_BASE): f for f in ordered}
