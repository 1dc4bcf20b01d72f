"""Whatever holds pictures as samples that can be asked about: streams, rows, stores, images."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.running.run_registry import find_run
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.types import EncodedFrame, Sample, StreamInferenceResult

from .backfill_plan import samples_meant
from .images import ImageEncoder, is_pillow_image

if TYPE_CHECKING:
    import pandas as pd

_ACCEPTED = (
    "a stream, its frames, rows of its DataFrame, or an iterable of samples, JPEG bytes, Pillow "
    "images, uint8 RGB arrays or paths of image files"
)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Samples to ask about. Those of streams may be more than memory has room for.

    Attributes:
        media_time: of each sample by its index, seconds; in the order in which they are shown.
        reader: see :meth:`read`.
        missing: why each of those that were meant, too, cannot be asked about, by index.
        run: the run that they are of, or None.
        result_ids: ids of the samples' rows, for a server that is asked by these.
    """

    media_time: Mapping[int, float]
    reader: Callable[[int], Sample]
    missing: Mapping[int, str] = field(default_factory=dict)
    run: Run | None = None
    result_ids: Mapping[int, str] = field(default_factory=dict)

    def read(self, index: int) -> Sample:
        """One of the samples with its pictures, which may be read from the disk.

        Raises:
            SampleNotKeptError: it was dropped meanwhile.
        """
        return self.reader(index)


def run_behind(what: Any) -> Run | None:
    """The run that the pictures of ``what`` belong to; None where it is no stream and no rows.

    Raises:
        ValidationError: rows whose stream is gone, of several streams, or of none.
    """
    if _is_frame(what):
        return _run_of_rows(what)
    run = getattr(what, "_run", what)
    return cast(Run, run) if hasattr(run, "journal") and hasattr(run, "prompts") else None


def subject_of(
    what: Any,
    *,
    last: float | None = None,
    samples: Iterable[int] | None = None,
    by_result: bool = False,
) -> Subject:
    """The samples in whatever holds pictures.

    Of a stream, all that have a row; of rows, theirs; their pictures are read later, one by one.
    Pictures from elsewhere are numbered from 0. A JPEG that fits into what streams send and is
    upright stays as it is; other pictures are encoded as a stream would.

    Args:
        what: a stream or anything else with a ``frames`` store, a frame store, rows of
            ``stream.df``, or an iterable of pictures.
        last: only samples of the last so many seconds of the video.
        samples: only these indices.
        by_result: the server is asked by the ids of rows, so that pictures need not be there.

    Raises:
        ValidationError: this is nothing that holds pictures, or a parameter cannot be used.
        LookupError: there is no sample of an index.
        OSError: an image file cannot be read.
    """
    wanted = _indices(samples)
    _check_last(last, wanted)
    run = run_behind(what)
    if run is not None:
        rows = _samples_of_rows(what) if _is_frame(what) else None
        subject = _of_run(run, rows, last, wanted, by_result)
    else:
        store = what if isinstance(what, Mapping) else getattr(what, "frames", None)
        if isinstance(store, Mapping):
            subject = _of_store(store, last, wanted)
        else:
            subject = _of_samples(_from_pictures(what), last, wanted)
    if not subject.media_time and not subject.missing:
        raise ValidationError("there is no sample to ask about: none was taken, or none is meant")
    return subject


# ---- which ones --------------------------------------------------------------------------------


def _indices(samples: Any) -> list[int] | None:
    """Checked sample indices, each once."""
    if samples is None:
        return None
    if isinstance(samples, str | bytes) or not isinstance(samples, Iterable):
        raise ValidationError(f"samples={samples!r} is not valid: it must be sample indices")
    given = list(samples)
    for index in given:
        if not isinstance(index, Integral) or isinstance(index, bool) or index < 0:
            raise ValidationError(
                f"samples: {index!r} is no sample index: an index is an integer, 0 or more"
            )
    return list(dict.fromkeys(map(int, given)))


def _check_last(last: float | None, wanted: list[int] | None) -> None:
    if last is None:
        return
    if wanted is not None:
        raise ValidationError("give last= or samples=, not both")
    if not isinstance(last, Real) or isinstance(last, bool) or not 0 < last < math.inf:
        raise ValidationError(f"last={last!r} is not valid: it must be a number of seconds, x > 0")


def _chosen(
    times: Mapping[int, float], last: float | None, wanted: list[int] | None
) -> dict[int, float]:
    """Those of the samples, whose media times these are, that are meant."""
    if wanted is not None:
        if unknown := [index for index in wanted if index not in times]:
            raise LookupError(f"there is no sample {unknown[0]}: there are {_spans(times)}")
        return {index: times[index] for index in wanted}
    since = -math.inf if last is None else max(times.values(), default=0.0) - last
    return {index: time for index, time in times.items() if time >= since}


def _spans(indices: Collection[int]) -> str:
    return f"{len(indices)}, from {min(indices)} to {max(indices)}" if indices else "none"


# ---- of a run ----------------------------------------------------------------------------------


def _is_frame(what: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(what, pandas.DataFrame)


def _run_of_rows(rows: pd.DataFrame) -> Run:
    missing = [name for name in ("stream_id", "sample") if name not in rows.columns]
    if missing:
        raise ValidationError(
            f"the DataFrame has no column {' and no column '.join(missing)}: give rows of stream.df"
        )
    if rows["stream_id"].ndim > 1 or rows["sample"].ndim > 1:
        raise ValidationError("the DataFrame has its columns several times: give each column once")
    ids = [str(name) for name in rows["stream_id"].dropna().unique()]
    if not ids:
        raise ValidationError("the DataFrame has no rows of a stream")
    runs = {name: find_run(name) for name in ids}
    gone = [name for name, run in runs.items() if run is None]
    if gone:
        raise ValidationError(
            f"the pictures of {', '.join(gone[:3])} are gone with the stream that had them: keep "
            "the stream that client.streams.create(...) returns, or give the pictures themselves"
        )
    # A stream that was restarted has several ids, and counts its samples on.
    if len({id(run) for run in runs.values()}) > 1:
        raise ValidationError(
            f"these are rows of {len(ids)} streams, whose samples have the same numbers: give "
            f'those of one, such as df[df["stream_id"] == {ids[0]!r}]'
        )
    return cast(Run, runs[ids[0]])


def _samples_of_rows(rows: pd.DataFrame) -> list[int] | None:
    """The samples of rows of a stream, which may have been merged with other rows."""
    samples = rows["sample"][rows["stream_id"].notna()]
    if samples.dtype.kind == "f" and (samples % 1 == 0).all():  # for the rows that had none
        samples = samples.astype("int64")
    return _indices(samples)


def _of_run(
    run: Run, rows: list[int] | None, last: float | None, wanted: list[int] | None, by_result: bool
) -> Subject:
    if rows is not None and wanted is not None:
        known = set(rows)
        if unknown := [index for index in wanted if index not in known]:
            raise LookupError(f"there is no sample {unknown[0]}: there are {_spans(rows)}")
        rows = wanted
    if rows is None:
        indices = samples_meant(run, last, wanted)
    else:
        meant = set(rows if last is None else samples_meant(run, last, None))
        indices = sorted(meant.intersection(rows))
    times: dict[int, float] = {}
    missing: dict[int, str] = {}
    ids: dict[int, str] = {}
    in_store = set(run.journal.frames)
    for index in indices:
        row = _row(run, index)
        if row is not None:
            ids[index] = row.id
        if by_result:
            if row is not None:
                times[index] = row.media_time
            else:
                missing[index] = (
                    f"sample {index} has no result, and a v0.2 server keeps those alone"
                )
        elif index in in_store:
            times[index] = run.journal.log[index].media_time
        else:
            missing[index] = _why_gone(run, index)
    read = partial(_as_the_server_has_it if by_result else _kept, run)
    return Subject(times, read, missing, run, ids)


def _row(run: Run, index: int) -> StreamInferenceResult | None:
    place = run.journal.log[index].row
    return run.journal.table[place] if place is not None else None


def _kept(run: Run, index: int) -> Sample:
    return run.journal.frames[index].sample


def _why_gone(run: Run, index: int) -> str:
    # The store's own words, with what it keeps at the moment, take too long for many.
    if (reason := run.journal.log[index].reason) is not None:
        return f"sample {index} has no picture: {reason}"
    if not run.journal.frames.max_bytes:
        return f"sample {index} was not kept: the stream keeps no pictures (keep_frames)"
    return f"sample {index} was dropped from the store of pictures (keep_frames)"


def _as_the_server_has_it(run: Run, index: int) -> Sample:
    """The sample of a result; its pictures are ours of the same moment, where we have them."""
    row = _row(run, index)
    assert row is not None  # the others are missing
    kept = run.journal.frames.get(index)
    captured_at = row.captured_at or datetime.min.replace(tzinfo=UTC)
    frames = kept.frames if kept is not None else ()
    return Sample(row.sample, row.mode, row.media_time, captured_at, frames)


# ---- from elsewhere ----------------------------------------------------------------------------


def _of_store(store: Mapping[int, Any], last: float | None, wanted: list[int] | None) -> Subject:
    if not isinstance(store, FrameStore):
        return _of_samples([_sample_in(store[index]) for index in store], last, wanted)
    times: dict[int, float] = {}
    missing: dict[int, str] = {}
    for index in store if wanted is None else wanted:
        try:
            times[index] = _sample_in(store[index]).media_time  # one at a time is held
        except SampleNotKeptError as error:
            # Of those that nobody named, a stream that goes on may have dropped some just now.
            if wanted is not None:
                missing[index] = str(error)
    return Subject(_chosen(times, last, None), lambda index: store[index].sample, missing)


def _of_samples(samples: Sequence[Sample], last: float | None, wanted: list[int] | None) -> Subject:
    """Of samples that somebody holds."""
    held = {sample.index: sample for sample in samples}
    times = {index: sample.media_time for index, sample in held.items()}
    return Subject(_chosen(times, last, wanted), held.__getitem__)


def _sample_in(item: Any) -> Sample:
    sample = item.sample if isinstance(item, StoredSample) else item
    if not isinstance(sample, Sample):
        raise ValidationError(f"{type(item).__name__} is no sample; give {_ACCEPTED}")
    if not sample.frames:
        raise ValidationError(f"sample {sample.index} has no pictures")
    _check_time(sample.media_time, f"sample {sample.index}")
    return sample


def _check_time(seconds: float, name: str) -> None:
    if not math.isfinite(seconds):
        raise ValidationError(f"{name} has media_time={seconds}: it must be seconds")


def _from_pictures(what: Any) -> list[Sample]:
    pictures = [what] if _is_one_picture(what) else what
    if not isinstance(pictures, Iterable):
        raise ValidationError(f"{type(what).__name__} holds no pictures; give {_ACCEPTED}")
    encoder = ImageEncoder()
    now = datetime.now(UTC)
    samples: list[Sample] = []
    for number, picture in enumerate(pictures):
        if isinstance(picture, Sample | StoredSample):
            samples.append(_sample_in(picture))
            continue
        given = isinstance(picture, EncodedFrame)
        frame = picture if given else encoder.frame(picture, f"picture {number}")
        _check_time(frame.media_time, f"picture {number}")
        samples.append(Sample(number, "frame", frame.media_time, now, (frame,)))
    indices = {sample.index for sample in samples}
    if len(indices) < len(samples):
        # Of several streams, or of none: their place is the one number that tells them apart.
        return [replace(sample, index=number) for number, sample in enumerate(samples)]
    return samples


def _is_one_picture(what: Any) -> bool:
    if isinstance(what, np.ndarray):
        return what.ndim in (0, 2) or (what.ndim == 3 and what.shape[2] in (1, 3, 4))
    single = (str, bytes, bytearray, memoryview, os.PathLike, Sample, StoredSample, EncodedFrame)
    return isinstance(what, single) or is_pillow_image(what)
