"""What happened in a recorded run, in order: what a replay makes happen again.

A run is samples, in the order in which they were taken, and outcomes, in the order in which they
came. A part of it is one reading of the source; a restart began another part, under an id of its
own. Within a part, a chapter is what was asked between two changes of the prompt.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from overshoot_nb.running.chat_session import DROP_LATE
from overshoot_nb.running.run import Run
from overshoot_nb.types import (
    ClipProcessingConfig,
    KeepaliveResponse,
    StreamInferenceResult,
    taken_at,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A chosen moment of the video.

    Attributes:
        index: of its sample in the recording.
        media_time: seconds since the first frame.
        at: when it was due, in seconds of the part; never before the one before it.
        chapter: number of the chapter in which it was asked about; -1 before the first row.
        missed: why it gave no sample, or None.
    """

    index: int
    media_time: float
    at: float
    chapter: int
    missed: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sample.

    Attributes:
        number: of its moment in the part.
        at: when it came, in seconds of the part; never before the one before it.
        after: how many moments of the part had come by then.
        result: the row, or None where it was dropped.
        reason: why it was dropped; "" where it was not.
    """

    number: int
    at: float
    after: int
    result: StreamInferenceResult | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One reading of the source.

    Attributes:
        stream_id: its id in the rows.
        first: index of its first sample.
        moments: in order.
        outcomes: in order; a moment that was missed has none, nor has one whose outcome the
            recording does not know.
        chapters: the prompt version of each.
        last: whether the run ended with it.
    """

    stream_id: str
    first: int
    moments: tuple[Moment, ...]
    outcomes: tuple[Outcome, ...]
    chapters: tuple[int, ...]
    last: bool


def parts_of(run: Run) -> tuple[Part, ...]:
    """The parts of a run; one at least."""
    rows = run.journal.table.results_since(0)
    newest = {row.sample: row for row in rows}
    begins = _begins(run, newest)
    ends = [begin for begin, _ in begins[1:]] + [len(run.journal.log)]
    order: list[list[StreamInferenceResult]] = [[] for _ in begins]
    starts = [begin for begin, _ in begins]
    for row in rows:
        if newest[row.sample] is row:
            order[bisect_right(starts, row.sample) - 1].append(row)
    return tuple(
        _part(run, begin, end, stream_id, answered, last=end == ends[-1])
        for (begin, stream_id), end, answered in zip(begins, ends, order, strict=True)
    )


def _begins(run: Run, rows: dict[int, StreamInferenceResult]) -> list[tuple[int, str]]:
    """Index of the first sample and id of each part."""
    log = run.journal.log
    begins: list[tuple[int, str]] = []
    newest = -1  # the last sample that is known to be of the part before
    for index in sorted(rows):
        stream_id = rows[index].stream_id
        if not begins:
            begins.append((0, stream_id))
        elif stream_id != begins[-1][1]:
            # Samples without a row do not say which part they are of, but its time begins anew.
            times = [log[i].media_time for i in range(newest, index + 1)]
            fall = next((i for i in range(1, len(times)) if times[i] < times[i - 1]), None)
            begins.append((index if fall is None else newest + fall, stream_id))
        newest = index
    return begins or [(0, run.stream_id)]


def _part(
    run: Run,
    begin: int,
    end: int,
    stream_id: str,
    answered: Sequence[StreamInferenceResult],
    *,
    last: bool,
) -> Part:
    log, frames = run.journal.log, run.journal.frames
    processing = run.settings.processing
    fps = processing.target_fps if isinstance(processing, ClipProcessingConfig) else None
    rows = {row.sample: row for row in answered}
    chapters: list[int] = []
    moments: list[Moment] = []
    taken: list[float] = []  # wall clock of each, never before the one before
    at = 0.0
    for index in range(begin, end):
        record, row = log[index], rows.get(index)
        if row is not None and (not chapters or chapters[-1] != row.prompt_version):
            chapters.append(row.prompt_version)
        due = _due(row, fps) if row is not None else 0.0
        wall = _seconds(taken_at(row)) if row is not None else None
        if wall is None:
            passed = record.media_time - moments[-1].media_time if moments else 0.0
            wall = taken[-1] + max(passed, 0.0) if taken else 0.0
        taken.append(max(wall, taken[-1] if taken else wall))
        at = max(at, record.media_time, due)
        missed = record.reason if record.fate == "drop" and index not in frames else None
        moments.append(Moment(index, record.media_time, at, len(chapters) - 1, missed))
    outcomes = _outcomes(run, begin, moments, taken, answered)
    return Part(stream_id, begin, tuple(moments), tuple(outcomes), tuple(chapters), last)


def _outcomes(
    run: Run,
    begin: int,
    moments: Sequence[Moment],
    taken: Sequence[float],
    answered: Sequence[StreamInferenceResult],
) -> list[Outcome]:
    """The rows in their order, and the drops where they came, as far as that can be known."""
    # (wall clock, number of its moment, what came): rows are in order already.
    came: list[tuple[float, int, StreamInferenceResult | str]] = []
    wall = 0.0
    for row in answered:
        wall = max(wall, _seconds(row.answered_at) or wall)
        came.append((wall, row.sample - begin, row))
    dropped: list[tuple[float, int, StreamInferenceResult | str]] = []
    for number, moment in enumerate(moments):
        record = run.journal.log[moment.index]
        if record.fate == "drop" and moment.missed is None:
            # The next sample took its place; whatever else it was, it was the end.
            late = record.reason == DROP_LATE and number + 1 < len(moments)
            dropped.append(
                (taken[number + 1] if late else float("inf"), number, record.reason or "")
            )
    outcomes: list[Outcome] = []
    at, after = 0.0, 0
    # Both are in order, and sorting keeps the order of what is equal.
    for wall, number, what in sorted(came + dropped, key=lambda one: one[0]):
        after = max(after, number + 1, bisect_right(taken, wall))
        at = max(at, moments[number].at)
        if isinstance(what, str):
            outcomes.append(Outcome(number, at, after, None, what))
        else:
            waited = max(0.0, wall - taken[number]) if what.answered_at is not None else 0.0
            at = max(at, moments[number].at + waited)
            outcomes.append(Outcome(number, at, after, what))
    return outcomes


def charged_for(run: Run, stream_id: str) -> KeepaliveResponse | None:
    """What the server charged for the run itself, None where it said nothing of it."""
    counters = run.journal.counters
    stats = counters.snapshot()
    charged = counters.lease_cents, stats.seconds_charged, stats.credits_remaining_cents
    if all(figure is None for figure in charged):
        return None
    return KeepaliveResponse(
        status="ok",
        stream_id=stream_id,
        ttl_seconds=0.0,
        cost_cents=charged[0],
        seconds_charged=charged[1],
        credits_remaining_cents=charged[2],
    )


def _due(row: StreamInferenceResult, fps: int | None) -> float:
    """Media time at which a sample was complete: a clip with its last frame."""
    if row.mode == "frame":
        return row.media_time
    if fps is None:  # clips from before a restart: their frames may be a little older
        return max(row.frame_times, default=0.0)
    return row.media_time + (len(row.frame_times) - 1) / fps


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment - _EPOCH).total_seconds()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
