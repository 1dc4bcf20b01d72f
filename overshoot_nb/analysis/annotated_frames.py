"""The stored pictures of a run as a video, with captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av

from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.types import EncodedFrame

from .annotated_file import Look, Shown
from .annotated_picture import X264
from .annotated_tracks import SubtitleTrack
from .captions import Caption
from .captions_drawing import CaptionPainter
from .stills import BT601, LIMITED, TIME_BASE, StillsTrack

#: A picture without neighbours is shown for so many seconds.
_STILL_SECONDS = 1.0


def annotate_frames(
    store: Mapping[int, StoredSample],
    samples: Sequence[int],
    output: Path,
    captions: Sequence[Caption],
    span: tuple[float, float],
    look: Look | None,
    tick: Callable[[int, int | None], None],
) -> None:
    """Writes the pictures of a store that are within ``span``, each from its own time on.

    The first one is at the video's time zero. ``samples`` are those of one run, in the order of
    time; the other parameters are those of
    :func:`~overshoot_nb.analysis.annotated_file.annotate_file`.

    Raises:
        SampleNotKeptError: the store has none in the span.
        ValidationError: a picture is broken.
        OSError: the output cannot be written.
    """
    pictures = _pictures(store, samples, span)
    first = next(pictures, None)
    if first is None:
        raise SampleNotKeptError(
            "annotate() has nothing to draw on: there is no source file, and no picture of this "
            "part of the run is kept (keep_frames); give source=, the path of the video"
        )
    start = first.media_time
    with av.open(str(output), "w") as target:
        options = X264 | {"bf": "0"}
        track = StillsTrack(target, first, options, look.threads if look else 0)
        paint: Callable[[Any], Any] | None = None
        shown = Shown(captions)
        if look is None and captions:
            SubtitleTrack(target).write(captions, Fraction(-start))
        elif look is not None:
            painter = CaptionPainter(
                *track.size,
                font_size=look.font_size,
                position=look.position,
                colorspace=BT601,
                color_range=LIMITED,
            )
            paint = lambda frame: painter.painted(  # noqa: E731
                frame, shown.text(start + float(frame.pts * TIME_BASE))
            )
        steps: list[int] = []
        done, total = 0, _expected(store, samples)

        def add(picture: EncodedFrame, tick_: int, duration: int) -> None:
            nonlocal done
            track.add(picture, tick_, duration, paint)
            done += 1
            tick(done, max(total, done))

        current, at = first, 0
        for picture in pictures:
            coming = round(Fraction(picture.media_time - start) / TIME_BASE)
            if coming <= at:
                continue
            steps.append(coming - at)
            add(current, at, steps[-1])
            current, at = picture, coming
        usual = median(steps) if steps else Fraction(_STILL_SECONDS) / TIME_BASE
        add(current, at, round(usual))
        track.finish()


def _pictures(
    store: Mapping[int, StoredSample], samples: Sequence[int], span: tuple[float, float]
) -> Iterator[EncodedFrame]:
    """The pictures in the order of time, each time once; clips may overlap."""
    newest = float("-inf")
    for index in samples:
        with suppress(SampleNotKeptError):  # a stream that goes on may have dropped it just now
            for picture in store[index].frames:
                if picture.media_time > newest and span[0] <= picture.media_time < span[1]:
                    newest = picture.media_time
                    yield picture


def _expected(store: Mapping[int, StoredSample], samples: Sequence[int]) -> int:
    """About how many pictures there are; clips have as many as the first one."""
    for index in samples:
        with suppress(SampleNotKeptError):
            return len(samples) * len(store[index].frames)
    return len(samples)
