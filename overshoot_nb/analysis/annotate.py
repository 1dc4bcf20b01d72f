"""``annotate``: which video is meant, what is checked, and a file that is whole or not there."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import av.codec
import av.error
import numpy as np

from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.validation import check_whole

from .annotated_file import Look, annotate_file
from .annotated_frames import annotate_frames
from .annotated_picture import ENCODER
from .captions import Caption, captions_of, one_at_a_time, run_id
from .captions_drawing import Position, check_look
from .captions_text import CaptionText
from .rows import run_of

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("overshoot_nb")

#: What can be written: formats that hold H.264, any audio that matters, and text.
_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
_MAX_THREADS = 64
#: The shortest clip of an event, in seconds.
MIN_CLIP_SECONDS = 0.5


class _Stored(NamedTuple):
    """The pictures of a run, and which samples of the store are of it."""

    store: Mapping[int, StoredSample]
    samples: Sequence[int]


def annotate(
    rows: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    caption: CaptionText | None,
    source: str | os.PathLike[str] | FileSource | None,
    burn: bool,
    sound: bool,
    hold: float | None,
    start: float | timedelta,
    end: float | timedelta | None,
    font_size: int | None,
    position: Position,
    threads: int | None,
    progress: bool,
    overwrite: bool,
) -> Path:
    """See :meth:`~overshoot_nb.analysis.video_methods.VideoMethods.annotate`."""
    path, source = hidden(path), hidden(source)
    target = _checked_target(path, overwrite)
    span = _checked_span(start, end)
    check_look(position, font_size)
    if threads is not None:
        check_whole("threads", threads, 1, _MAX_THREADS)
    captions = _within(one_at_a_time(captions_of(rows, "annotate", caption, hold)), *span)
    video = _video_of(rows, source)
    if isinstance(video, FileSource) and _is_same(Path(video.url), target):
        raise ValidationError(f"{target} is the source itself: give another path")
    if (burn and captions) or not isinstance(video, FileSource):
        _check_encoder()
    look = Look(font_size, position, threads or 0) if burn else None
    # Beside the target, so that putting it in its place is one step; with its suffix, which says
    # the format.
    part = target.with_name(f".{target.stem}.{uuid4().hex}.part{target.suffix}")
    bar = _Bar(target.name) if progress else None
    try:
        tick = bar.tick if bar else _unheard
        if isinstance(video, FileSource):
            annotate_file(video, part, captions, span, look, tick, sound)
        else:
            annotate_frames(video.store, video.samples, part, captions, span, look, tick)
        _put(part, target, overwrite)
        if bar:
            bar.complete()
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno and error.errno > 0:
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise ValidationError(f"{target.name} cannot be written: {error}") from error
    finally:
        # An interrupt leaves nothing behind.
        part.unlink(missing_ok=True)
        if bar:
            bar.close()
    return target


# ---- which video -------------------------------------------------------------------------------


def _video_of(rows: pd.DataFrame, source: object) -> FileSource | _Stored:
    if source is not None:
        return _given(source)
    stream_id = run_id(rows, "annotate")
    run = None if stream_id is None else run_of(stream_id)
    if run is None:
        whose = "no stream_id" if stream_id is None else f"stream {stream_id}, which is gone"
        raise ValidationError(
            f"annotate() does not know which video these rows are about ({whose}): give source=, "
            "the path of the video"
        )
    source = run.settings.source
    if isinstance(source, FileSource) and not source.remote and Path(source.url).is_file():
        return source
    why = "is not there any more" if isinstance(source, FileSource) else "is no file"
    if isinstance(source, FileSource) and source.remote:
        why = "is not on this machine"
    logger.warning(
        "%s %s: the video is made of the pictures that the stream took; source= takes the path of "
        "the video",
        source.label,
        why,
    )
    return _Stored(run.journal.frames, _samples_of(run, stream_id))


def _samples_of(run: Run, stream_id: str | None) -> list[int]:
    """The samples of the rows of that id, and those between them that have no row.

    A stream that was restarted has several ids and one store, and its media time began anew.
    """
    own: set[int] = set()
    others: set[int] = set()
    for result in run.journal.table:
        (own if result.stream_id == stream_id else others).add(result.sample)
    kept = list(run.journal.frames)
    if not own or not others:
        return kept
    times = np.frombuffer(run.journal.log.read()[0])
    first, last = min(own), max(own)
    while first > 0 and first - 1 not in others and times[first - 1] < times[first]:
        first -= 1
    while last + 1 < len(times) and last + 1 not in others and times[last] < times[last + 1]:
        last += 1
    return [index for index in kept if first <= index <= last]


def _given(source: object) -> FileSource:
    video = source
    if isinstance(source, str | os.PathLike):
        video = FileSource(Path(os.fsdecode(source)) if "://" not in str(source) else str(source))
    if not isinstance(video, FileSource):
        raise ValidationError(
            f"source={source!r} is no video file: give the path of the file that was watched"
        )
    if "://" in video.url:
        raise ValidationError(
            f"source={video.shown!r} is not on this machine: download it and give the path of the "
            "file (its tracks are copied, so it is read whole)"
        )
    return video


# ---- checks ------------------------------------------------------------------------------------


def _checked_target(path: object, overwrite: bool) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValidationError(f"path={path!r} is not valid: it must be the path of a video file")
    target = Path(os.fsdecode(path))
    if target.suffix.lower() not in _SUFFIXES:
        raise ValidationError(
            f"{target.name!r} must end in one of {', '.join(_SUFFIXES)}, which says the format"
        )
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else f"cannot be made: no folder {target.parent}"
        raise ValidationError(f"{target} {what}")
    if target.exists() and not overwrite:
        raise ValidationError(f"{target} is there already: give overwrite=True to replace it")
    return target


def _checked_span(start: object, end: object) -> tuple[float, float]:
    start, end = _as_seconds("start", start), _as_seconds("end", end)
    for name, value in (("start", start), ("end", end)):
        if value is None and name == "end":
            continue
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
            raise ValidationError(
                f"{name}={value!r} is not valid: it must be seconds of media time, 0 or more"
            )
    first, last = float(start), math.inf if end is None else float(end)  # type: ignore[arg-type]
    if last <= first:
        raise ValidationError(f"end={end!r} must be later than start={start!r}")
    return first, last


def _as_seconds(name: str, value: object) -> object:
    """A length of time in seconds; anything else as it is."""
    if isinstance(value, datetime | np.datetime64):
        raise ValidationError(
            f"{name}={value!r} is a time of day: give media time, such as {name}=event.{name}"
        )
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "us")) / 1e6
    return value.total_seconds() if isinstance(value, timedelta) else value


def annotate_events(
    rows: pd.DataFrame,
    folder: str | os.PathLike[str],
    events: pd.DataFrame | str,
    *,
    padding: float | timedelta,
    suffix: str,
    **options: Any,
) -> list[Path]:
    """See :meth:`~overshoot_nb.analysis.video_methods.VideoMethods.annotate_events`."""
    folder = hidden(folder)
    found: Any = rows.overshoot.events(events) if isinstance(events, str) else events
    if {"start", "end"} - set(getattr(found, "columns", ())):
        raise ValidationError(
            f"events={type(events).__name__} is not valid: give what df.overshoot.events(...) "
            'gives, or its condition, such as "out.people > 3"'
        )
    if not len(found):
        raise ValidationError("events is empty: there is nothing to make clips of")
    around: Any = _as_seconds("padding", padding)
    if not isinstance(around, Real) or isinstance(around, bool) or not 0 <= around < math.inf:  # type: ignore[operator]
        raise ValidationError(f"padding={padding!r} is not valid: it must be seconds, 0 or more")
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = []
    digits = max(3, len(str(len(found))))
    several = "stream_id" in rows.columns and rows["stream_id"].nunique() > 1
    for number, event in enumerate(found.itertuples(index=False), 1):
        start, end = (getattr(event, name).total_seconds() for name in ("start", "end"))
        own = rows[rows["stream_id"] == event.stream_id] if several else rows
        name = f"event_{number:0{digits}}_{start:.1f}s{suffix}"
        begin = max(0.0, start - float(around))
        # One row alone is a moment: a clip has a frame at least.
        until = max(end + float(around), begin + MIN_CLIP_SECONDS)
        path = Path(folder) / name
        made.append(annotate(own, path, start=begin, end=until, **options))
    return made


def _check_encoder() -> None:
    try:
        av.codec.Codec(ENCODER, "w")
    except ValueError:  # what PyAV raises for codecs that its FFmpeg lacks
        raise MissingDependencyError(
            f"captions are drawn into H.264, and this PyAV has no {ENCODER}: pip install "
            "--force-reinstall av (burn=False makes them a subtitle track, which needs none)"
        ) from None


def _within(captions: list[Caption], start: float, end: float) -> list[Caption]:
    return [c for c in captions if c.end > start and c.start < end]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _put(part: Path, target: Path, overwrite: bool) -> None:
    # It may have come to be meanwhile.
    if target.exists() and not overwrite:
        raise ValidationError(f"{target} is there already: give overwrite=True to replace it")
    part.replace(target)


# ---- progress ----------------------------------------------------------------------------------


class _Bar:
    """The bar, drawn now and then: it is told of every frame."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: ProgressBar | None = None
        self._drawn = 0.0
        self._done = 0

    def tick(self, done: int, total: int | None) -> None:
        """So many frames are done."""
        self._done = done
        now = time.monotonic()
        if self._bar is None:
            self._bar = ProgressBar(self._label, total, "frame")
        elif now - self._drawn < TICK_SECONDS:
            return
        self._drawn = now
        self._bar.draw(done)

    def complete(self) -> None:
        """All are."""
        if self._bar is not None:
            self._bar.draw(self._done)
            self._bar.close(complete=True)
            self._bar = None

    def close(self) -> None:
        """Leaves it as it is."""
        if self._bar is not None:
            self._bar.close()


def _unheard(done: int, total: int | None) -> None:
    pass
