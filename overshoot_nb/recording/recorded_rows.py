"""The rows of a recording as what they were made of: samples, results, later answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.journal import Journal
from overshoot_nb.types import StreamInferenceResult, Usage

_TIMES = pa.list_(pa.float64())
_TEXT = pa.large_string()
_TIME = pa.timestamp("us", tz="UTC")

#: The columns that rows are made of, as what each is read.
COLUMNS: dict[str, pa.DataType] = {
    "kind": _TEXT,
    "sample": pa.int64(),
    "media_time": pa.float64(),
    "captured_at": _TIME,
    "answered_at": _TIME,
    "ok": pa.bool_(),
    "result": _TEXT,
    "error": _TEXT,
    "reasoning": _TEXT,
    "mode": _TEXT,
    "model": _TEXT,
    "prompt": _TEXT,
    "prompt_version": pa.int64(),
    "finish_reason": _TEXT,
    "inference_latency_ms": pa.float64(),
    "total_latency_ms": pa.float64(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "total_tokens": pa.int64(),
    "cost_cents": pa.float64(),
    "copied_from": pa.int64(),
    "stream_id": _TEXT,
    "id": _TEXT,
    "frame_times": _TIMES,
    "output": _TEXT,
    "reason": _TEXT,
    "exact": pa.large_binary(),
}
#: What tells how much there is.
COUNTED = ("kind", "sample", "prompt_version")
#: Those that files of earlier releases lack.
NEWER_COLUMNS = frozenset({"copied_from", "reasoning"})
#: Texts that repeat from row to row: each is one string, however many rows have it.
_REPEATED = ("kind", "mode", "model", "prompt", "finish_reason", "stream_id", "reason")
#: Beyond so many samples without a row for each row, the numbers cannot be samples'.
_MOST_GAPS = 1_000
#: What became of a sample that no row tells of: of a file that others took rows out of.
NOT_RECORDED = "not in the recording"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US, _LAST_US = (
    (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
    for moment in (datetime.min, datetime.max)
)


@dataclass(slots=True)
class RecordedSample:
    """A sample as the rows tell of it.

    Attributes:
        media_time: seconds since the first frame.
        reason: why it was dropped, or None.
    """

    media_time: float
    reason: str | None = None


@dataclass(slots=True)
class RecordedRows:
    """Everything that the rows of a recording tell.

    Attributes:
        samples: by index.
        results: the rows of the run's table, in order.
        later: the answers of backfills, in order.
    """

    samples: dict[int, RecordedSample] = field(default_factory=dict)
    results: list[StreamInferenceResult] = field(default_factory=list)
    later: list[StreamInferenceResult] = field(default_factory=list)

    def fill(self, journal: Journal) -> None:
        """Tell an empty journal what happened."""
        times: list[float] = []
        reasons: dict[int, str] = {}
        for index in range(max(self.samples, default=-1) + 1):
            sample = self.samples.get(index)
            if sample is None:
                sample = RecordedSample(times[-1] if times else 0.0, NOT_RECORDED)
            times.append(sample.media_time)
            if sample.reason is not None:
                reasons[index] = sample.reason
        rows = {result.sample: (row, result.ok) for row, result in enumerate(self.results)}
        journal.log.restored(times, rows, reasons)
        journal.counters.sampled(len(times) - len(reasons))
        for reason, count in Counter(reasons.values()).items():
            journal.counters.missed(reason, count)
        journal.counters.sent(sum(row.copied_from is None for row in self.results))
        journal.counters.answered(*self.results)
        journal.table.extend(self.results)
        for answer in self.later:
            journal.later.put(answer)


def rows_of(table: pa.Table) -> RecordedRows:
    """The rows of a file.

    Args:
        table: with the columns of :data:`COLUMNS`.

    Raises:
        ValidationError: the rows are no recording's.
    """
    columns: dict[str, list[Any]] = {
        name: column_values(table, name)
        if name in table.column_names or name not in NEWER_COLUMNS
        else [None] * table.num_rows
        for name in COLUMNS
    }
    _make_exact(columns)
    columns["output"] = _outputs(columns["output"], table.column("output"))
    _check_numbers(columns["sample"])
    _check_times(columns["media_time"])
    rows = RecordedRows()
    samples, results, later = rows.samples, rows.results, rows.later
    places: dict[int, int] = {}  # of results by sample
    answers = zip(*(columns[name] for name in _ANSWER), strict=True)
    reasons, times = columns["reason"], columns["media_time"]
    every = zip(columns["kind"], columns["sample"], times, reasons, answers, strict=True)
    for kind, index, media_time, reason, answer in every:
        if kind == "later":
            later.append(_result(*answer))
            continue
        known = samples.get(index)
        if kind == "result":
            samples[index] = RecordedSample(media_time or 0.0)
            if index in places:  # of several rows of one kind and sample the last one counts
                results[places[index]] = _result(*answer)
            else:
                places[index] = len(results)
                results.append(_result(*answer))
        elif index not in places and (kind == "drop" or known is None or known.reason is None):
            # A row that waited stands before that of its outcome, and may stand behind it.
            samples[index] = RecordedSample(
                media_time or 0.0, (reason or "") if kind == "drop" else None
            )
    return rows


def samples_and_later(table: pa.Table) -> int:
    """How many samples and later answers are found in a file, each once, as it is loaded.

    Args:
        table: with the columns of :data:`COUNTED`.

    Raises:
        ValidationError: the rows are no recording's.
    """
    kinds, samples, versions = (column_values(table, name) for name in COUNTED)
    _check_numbers(samples)
    rows = list(zip(kinds, samples, versions, strict=True))
    later = {row for row in rows if row[0] == "later"}
    return max((index for kind, index, _ in rows if kind != "later"), default=-1) + 1 + len(later)


def _check_numbers(indices: list[Any]) -> None:
    try:
        lowest, highest = min(indices, default=0), max(indices, default=-1)
    except TypeError:
        raise ValidationError("a row has no number in its column sample") from None
    # Before anything is made for each number up to the highest.
    if lowest < 0 or highest >= 2 * len(indices) + _MOST_GAPS:
        raise ValidationError(
            f"there are {len(indices)} rows, of samples {lowest} to {highest}: samples are "
            "numbered from 0, one by one"
        )


def _check_times(times: list[float | None]) -> None:
    if not all(map(math.isfinite, filter(None, times))):
        raise ValidationError("a row's media_time is no number of seconds")


#: The columns that an answer is made of, as ``_result`` takes them.
_ANSWER = (
    "id",
    "stream_id",
    "mode",
    "model",
    "prompt",
    "result",
    "inference_latency_ms",
    "total_latency_ms",
    "ok",
    "error",
    "finish_reason",
    "sample",
    "media_time",
    "frame_times",
    "captured_at",
    "answered_at",
    "prompt_version",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_cents",
    "copied_from",
    "output",
    "reasoning",
)


def _result(
    id: str | None,
    stream_id: str | None,
    mode: Any,
    model: str | None,
    prompt: str | None,
    result: str | None,
    inference_latency_ms: float | None,
    total_latency_ms: float | None,
    ok: bool | None,
    error: str | None,
    finish_reason: Any,
    sample: int,
    media_time: float | None,
    frame_times: tuple[float, ...],
    captured_at: datetime | None,
    answered_at: datetime | None,
    prompt_version: int | None,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    total_tokens: int | None,
    cost_cents: float | None,
    copied_from: int | None,
    output: Any,
    reasoning: str | None,
) -> StreamInferenceResult:
    usage = None
    if total_tokens is not None:
        usage = Usage(prompt_tokens or 0, completion_tokens or 0, total_tokens, cost_cents)
    return StreamInferenceResult(
        id or "",
        stream_id or "",
        mode if mode in ("frame", "clip") else "frame",
        model or "",
        prompt or "",
        result or "",
        math.nan if inference_latency_ms is None else inference_latency_ms,
        math.nan if total_latency_ms is None else total_latency_ms,
        bool(ok),
        error,
        finish_reason,
        sample,
        media_time or 0.0,
        frame_times,
        captured_at,
        answered_at,
        prompt_version or 0,
        usage,
        output,
        copied_from,
        reasoning,
    )


def _outputs(texts: list[str | None], column: Any) -> list[Any]:
    """Answers parsed. None where a text is no JSON: the answer's own text is still there."""
    # orjson is ten times as fast, but makes floats of integers beyond 64 bits.
    long = pc.match_substring_regex(column, "[0-9]{19}").fill_null(False).to_numpy().tolist()
    read: list[Any] = []
    for text, is_long in zip(texts, long, strict=True):
        try:
            read.append(None if text is None else (_exactly if is_long else orjson.loads)(text))
        except orjson.JSONDecodeError:  # NaN, Infinity, lone surrogates; or nothing readable
            read.append(_exactly(text or ""))
    return read


def _exactly(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _make_exact(columns: dict[str, list[Any]]) -> None:
    """Put in place what the other columns could not hold."""
    for number, data in enumerate(columns["exact"]):
        if data is None:
            continue
        try:
            exact = json.loads(data.decode("utf-8", "surrogatepass"))
            for name, value in exact.items():
                if name in columns:
                    columns[name][number] = _exact_value(name, value)
        except (ValueError, AttributeError, RecursionError) as error:
            raise ValidationError(f"row {number} is damaged in its column exact: {error}") from None


def _exact_value(name: str, value: Any) -> Any:
    # Only these can be what a column cannot hold: texts of odd characters, and large integers.
    if type(value) is not {_TEXT: str, pa.int64(): int}.get(COLUMNS[name]):
        raise ValueError(f"{name} is {value!r:.40}")
    return value


# ---- one column --------------------------------------------------------------------------------


def column_values(table: pa.Table, name: str) -> list[Any]:
    """The values of a column as Python's own; None where there is none.

    Raises:
        ValidationError: there is no such column, or it holds something else.
    """
    if name not in table.column_names:
        if name in NEWER_COLUMNS:
            return [None] * len(table)
        raise ValidationError(f"there is no column {name}: every recording has one")
    if table.column_names.count(name) > 1:
        raise ValidationError(f"there are several columns {name}")
    try:
        column = table.column(name).cast(COLUMNS[name])
    except pa.ArrowException as error:
        raise ValidationError(
            f"column {name} holds {table.column(name).type}, not {COLUMNS[name]}: {error}"
        ) from None
    if len(column) == 0:
        return []
    # A row group is a chunk, and so may be a few rows.
    array = column.combine_chunks()
    if name in _REPEATED:
        return _repeated(array)
    read = _READERS.get(COLUMNS[name], _plain)
    values = read(array)
    if array.null_count and read is not _lists:
        for i in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
            values[i] = None
    return values


def _plain(array: Any) -> list[Any]:
    if array.null_count:  # numpy would make floats of integers
        array = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return cast("list[Any]", array.to_numpy(zero_copy_only=False).tolist())


def _texts(array: Any) -> list[Any]:
    return cast("list[Any]", array.to_numpy(zero_copy_only=False).tolist())


def _repeated(array: Any) -> list[Any]:
    encoded = array.dictionary_encode()
    words = [*encoded.dictionary.to_pylist(), None]
    return [words[code] for code in encoded.indices.fill_null(-1).to_numpy().tolist()]


def _moments(array: Any) -> list[Any]:
    numbers = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if not _FIRST_US <= numbers.min() <= numbers.max() <= _LAST_US:
        raise ValidationError("a time is beyond what a calendar knows")
    # numpy makes the timedeltas: that takes a fifth of the time.
    return list(map(_EPOCH.__add__, numbers.view("m8[us]").tolist()))


def _lists(array: Any) -> list[tuple[float, ...]]:
    offsets = array.offsets.to_numpy().tolist()
    values = _plain(array.values)
    return [tuple(values[start:end]) for start, end in pairwise(offsets)]


_READERS: dict[pa.DataType, Callable[[Any], list[Any]]] = {
    _TEXT: _texts,
    _TIME: _moments,
    _TIMES: _lists,
    pa.large_binary(): _texts,
}
