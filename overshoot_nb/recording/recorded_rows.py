"""The rows of a recording as what they were made of: samples, results, later answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa

from overshoot_nb.errors import ValidationError
from overshoot_nb.journal import Journal
from overshoot_nb.types import StreamInferenceResult, Usage

__all__ = ["COLUMNS", "RecordedRows", "RecordedSample", "column_values", "rows_of"]

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
    "stream_id": _TEXT,
    "id": _TEXT,
    "frame_times": _TIMES,
    "output": _TEXT,
    "reason": _TEXT,
    "exact": pa.large_binary(),
}
#: Texts that repeat from row to row: each is one string, however many rows have it.
_REPEATED = ("kind", "mode", "model", "prompt", "finish_reason", "stream_id", "reason")
#: Beyond so many samples without a row for each row, the numbers cannot be samples'.
_MOST_GAPS = 1_000
#: What became of a sample that no row tells of: of a file that others took rows out of.
NOT_RECORDED = "not in the recording"


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
        """Tell an empty journal what happened, in order, as the run did."""
        at = 0.0
        for index in range(max(self.samples, default=-1) + 1):
            sample = self.samples.get(index) or RecordedSample(at, NOT_RECORDED)
            at = sample.media_time
            journal.log.sampled(index, at)
            if sample.reason is not None:
                journal.log.dropped(index, sample.reason)
                journal.counters.missed(sample.reason)
            else:
                journal.counters.sampled()
        for result in self.results:
            journal.counters.sent()
            journal.counters.answered(result)
            journal.log.answered(result.sample, len(journal.table), ok=result.ok)
            journal.table.append(result)
        for answer in self.later:
            journal.later.put(answer)


def rows_of(table: pa.Table) -> RecordedRows:
    """The rows of a file.

    Args:
        table: with the columns of :data:`COLUMNS`.

    Raises:
        ValidationError: the rows are no recording's.
    """
    columns = {name: column_values(table, name) for name in COLUMNS}
    _make_exact(columns)
    rows = RecordedRows()
    places: dict[int, int] = {}  # of results by sample
    names = list(columns)
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(names, values, strict=True))
        index = row["sample"]
        if not isinstance(index, int) or index < 0:
            raise ValidationError(f"a row has sample={index!r}: it must be 0 or more")
        if row["kind"] == "later":
            rows.later.append(_result(row))
            continue
        known = rows.samples.get(index)
        rows.samples[index] = RecordedSample(row["media_time"] or 0.0)
        if row["kind"] == "drop":
            rows.samples[index].reason = row["reason"] or ""
        elif row["kind"] == "result":
            if index in places:  # of several rows of one kind and sample the last one counts
                rows.results[places[index]] = _result(row)
            else:
                places[index] = len(rows.results)
                rows.results.append(_result(row))
        elif known is not None and (index in places or known.reason is not None):
            rows.samples[index] = known  # its outcome is known already
    for index in places:
        rows.samples[index].reason = None
    _check_numbers(rows.samples)
    return rows


def _check_numbers(samples: dict[int, RecordedSample]) -> None:
    highest = max(samples, default=-1)
    if highest >= 2 * len(samples) + _MOST_GAPS:
        raise ValidationError(
            f"the rows tell of {len(samples)} samples, yet one has the number {highest}: samples "
            "are numbered from 0"
        )


def _result(row: dict[str, Any]) -> StreamInferenceResult:
    tokens = row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]
    usage = None
    if tokens[2] is not None:
        usage = Usage(tokens[0] or 0, tokens[1] or 0, tokens[2], row["cost_cents"])
    mode = row["mode"]
    return StreamInferenceResult(
        id=row["id"] or "",
        stream_id=row["stream_id"] or "",
        mode=mode if mode in ("frame", "clip") else "frame",
        model_name=row["model"] or "",
        prompt=row["prompt"] or "",
        result=row["result"] or "",
        inference_latency_ms=_number(row["inference_latency_ms"]),
        total_latency_ms=_number(row["total_latency_ms"]),
        ok=bool(row["ok"]),
        error=row["error"],
        finish_reason=row["finish_reason"],
        sample=row["sample"],
        media_time=row["media_time"] or 0.0,
        frame_times=row["frame_times"],
        captured_at=row["captured_at"],
        answered_at=row["answered_at"],
        prompt_version=row["prompt_version"] or 0,
        usage=usage,
        output=_output(row["output"]),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _output(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # the answer's text is still there


def _make_exact(columns: dict[str, list[Any]]) -> None:
    """Put in place what the other columns could not hold."""
    for number, data in enumerate(columns["exact"]):
        if data is None:
            continue
        try:
            exact = json.loads(data.decode("utf-8", "surrogatepass"))
            for name, value in exact.items():
                if name in columns:
                    columns[name][number] = value
        except (ValueError, AttributeError, RecursionError) as error:
            raise ValidationError(f"row {number} is damaged in its column exact: {error}") from None


# ---- one column --------------------------------------------------------------------------------


def column_values(table: pa.Table, name: str) -> list[Any]:
    """The values of a column as Python's own; None where there is none.

    Raises:
        ValidationError: there is no such column, or it holds something else.
    """
    if name not in table.column_names:
        raise ValidationError(f"there is no column {name}: every recording has one")
    try:
        column = table.column(name).cast(COLUMNS[name])
    except pa.ArrowException as error:
        raise ValidationError(
            f"column {name} holds {table.column(name).type}, not {COLUMNS[name]}: {error}"
        ) from None
    read: Callable[[Any], Iterable[Any]] = _READERS.get(COLUMNS[name], _plain)
    values: list[Any] = []
    for chunk in column.chunks:
        found = list(_repeated(chunk) if name in _REPEATED else read(chunk))
        if chunk.null_count and COLUMNS[name] != _TIMES:
            missing = np.flatnonzero(chunk.is_null().to_numpy(zero_copy_only=False))
            for i in missing.tolist():
                found[i] = None
        values += found
    return values


def _plain(chunk: Any) -> list[Any]:
    if chunk.null_count and not pa.types.is_boolean(chunk.type):
        chunk = chunk.fill_null(0)  # numpy would make floats of integers
    elif chunk.null_count:
        chunk = chunk.fill_null(False)
    return cast("list[Any]", chunk.to_numpy(zero_copy_only=False).tolist())


def _texts(chunk: Any) -> list[Any]:
    return cast("list[Any]", chunk.to_numpy(zero_copy_only=False).tolist())


def _repeated(chunk: Any) -> list[Any]:
    encoded = chunk.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).tolist()
    words.append(None)
    return [words[code] for code in codes]


def _moments(chunk: Any) -> list[Any]:
    numbers = chunk.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    found = numbers.view("M8[us]").astype(object).tolist()
    # Beyond what Python's calendar knows, numpy leaves a number.
    return [x.replace(tzinfo=UTC) if isinstance(x, datetime) else None for x in found]


def _lists(chunk: Any) -> list[tuple[float, ...]]:
    offsets = chunk.offsets.to_numpy().tolist()
    values = _plain(chunk.values)
    return [tuple(values[start:end]) for start, end in pairwise(offsets)]


_READERS: dict[pa.DataType, Callable[[Any], Iterable[Any]]] = {
    _TEXT: _texts,
    _TIME: _moments,
    _TIMES: _lists,
    pa.large_binary(): _texts,
}
