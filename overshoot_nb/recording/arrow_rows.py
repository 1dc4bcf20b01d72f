"""The rows of a recording as Arrow tables; their columns are described at ``format``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.store.columns import Arena, Column, ObjectColumn, timestamp_us, to_float, to_int64
from overshoot_nb.store.output_columns import output_columns
from overshoot_nb.types import EncodedFrame, RowKind, Sample, StreamInferenceResult

from .format import GROUP_BYTES, GROUP_ROWS

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_PICTURE = pa.struct(
    [
        pa.field("media_time", pa.float64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("jpeg", pa.binary()),
    ]
)
_PICTURES = pa.list_(pa.field("element", _PICTURE))
_TIMES = pa.list_(pa.field("element", pa.float64()))


@dataclass(slots=True)
class Row:
    """A row of a recording, not written yet.

    Attributes:
        kind: see ``format``.
        index: of the sample.
        media_time: of the sample, seconds.
        sample: the sample, or None where it is not known any more.
        pictures: whether those of the sample are written with it.
        result: the answer of a "result" or "later" row.
        reason: why a "drop" was dropped.
        stream_id: which run it was of, where there is no answer that says so.
    """

    kind: RowKind
    index: int
    media_time: float
    sample: Sample | None = None
    pictures: bool = True
    result: StreamInferenceResult | None = None
    reason: str | None = None
    stream_id: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its pictures and, about, of its texts."""
        pictures = self.sample.nbytes if self.sample is not None and self.pictures else 0
        # A structured answer is there as text and parsed.
        if self.result is None:
            return pictures
        return pictures + 2 * len(self.result.result) + len(self.result.reasoning or "")


def in_groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in order, as many together as a row group may hold."""
    group: list[Row] = []
    nbytes = 0
    for row in rows:
        if group and (len(group) == GROUP_ROWS or nbytes + row.nbytes > GROUP_BYTES):
            yield group
            group, nbytes = [], 0
        group.append(row)
        nbytes += row.nbytes
    if group:
        yield group


class RowWriter:
    """Makes tables of rows.

    Args:
        output_schemas: JSON schemas that answers fit, oldest first: their properties are columns.
        secrets: what no message may hold.
    """

    def __init__(self, output_schemas: Sequence[Mapping[str, Any]], secrets: Secrets) -> None:
        self._output_schemas = output_schemas
        self._secrets = secrets
        #: Of every table.
        self.schema: pa.Schema = self.table([]).schema

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """The rows as a table of ``schema``."""
        exact: list[dict[str, Any]] = [{} for _ in rows]
        results = [row.result for row in rows]
        said = self._secrets.removed

        def of_result(pick: Callable[[StreamInferenceResult], Any]) -> list[Any]:
            return [None if result is None else pick(result) for result in results]

        def texts(name: str, values: Sequence[str | None]) -> Any:
            return _texts(name, values, exact)

        def tokens(name: str) -> Any:
            values = of_result(lambda r: getattr(r.usage, name, None))
            return _integers(name, values, exact)

        outputs = of_result(lambda r: r.output)
        columns: dict[str, Any] = {
            "kind": pa.array([row.kind for row in rows], pa.string()),
            "sample": pa.array([row.index for row in rows], pa.int64()),
            "media_time": _floats([row.media_time for row in rows]),
            "captured_at": _times([_captured_at(row) for row in rows]),
            "answered_at": _times(of_result(lambda r: r.answered_at)),
            "ok": pa.array(of_result(lambda r: bool(r.ok)), pa.bool_()),
            "result": texts("result", of_result(lambda r: r.result)),
            **self._output_columns(outputs),
            "error": texts("error", of_result(lambda r: r.error and said(r.error))),
            "reasoning": texts("reasoning", of_result(lambda r: r.reasoning)),
            "mode": texts("mode", [_mode(row) for row in rows]),
            "model": texts("model", of_result(lambda r: r.model_name)),
            "prompt": texts("prompt", of_result(lambda r: r.prompt)),
            "prompt_version": pa.array(of_result(lambda r: r.prompt_version), pa.int64()),
            "finish_reason": texts("finish_reason", of_result(lambda r: r.finish_reason)),
            "inference_latency_ms": _floats(of_result(lambda r: r.inference_latency_ms)),
            "total_latency_ms": _floats(of_result(lambda r: r.total_latency_ms)),
            "prompt_tokens": tokens("prompt_tokens"),
            "completion_tokens": tokens("completion_tokens"),
            "total_tokens": tokens("total_tokens"),
            "cost_cents": _floats(of_result(lambda r: getattr(r.usage, "cost_cents", None))),
            "copied_from": pa.array(of_result(lambda r: r.copied_from), pa.int64()),
            "stream_id": texts(
                "stream_id", [row.result.stream_id if row.result else row.stream_id for row in rows]
            ),
            "id": texts("id", of_result(lambda r: r.id)),
            "frame_times": pa.array(of_result(lambda r: list(r.frame_times)), _TIMES),
            "output": texts("output", [None if x is None else _json(x) for x in outputs]),
            "reason": texts("reason", [row.reason and said(row.reason) for row in rows]),
            "frames": _frames(rows),
            "video": pa.array(
                [row.sample.video if row.sample and row.pictures else None for row in rows],
                pa.binary(),
            ),
        }
        columns["exact"] = pa.array([_surrogatepass(found) for found in exact], pa.binary())
        return pa.table(columns)

    def with_outputs(self, table: pa.Table) -> pa.Table:
        """A table written with other schemas, with the columns of these."""
        exact = table.column("exact").to_pylist()
        outputs = []
        for text, more in zip(table.column("output").to_pylist(), exact, strict=True):
            if more is not None:
                text = json.loads(more.decode("utf-8", "surrogatepass")).get("output", text)
            outputs.append(None if text is None else json.loads(text))
        made = self._output_columns(outputs)
        kept = {n: table.column(n) for n in table.column_names if n in self.schema.names}
        for field in self.schema:
            if field.name not in kept and field.name not in made:  # of an older file
                kept[field.name] = pa.nulls(len(table), field.type)
        return pa.table([made[n] if n in made else kept[n] for n in self.schema.names], self.schema)

    def _output_columns(self, outputs: Sequence[Any]) -> dict[str, Any]:
        columns = {}
        for out in output_columns(*self._output_schemas):
            out.column.extend([out.pick(output) for output in outputs])
            columns[out.name] = _arrow(out.column)
        return columns


# ---- one column --------------------------------------------------------------------------------


def _captured_at(row: Row) -> Any:
    return (
        row.result.captured_at
        if row.result is not None
        else getattr(row.sample, "captured_at", None)
    )


def _mode(row: Row) -> str | None:
    return row.result.mode if row.result is not None else getattr(row.sample, "mode", None)


def _times(values: Sequence[Any]) -> Any:
    return pa.array([timestamp_us(value) for value in values], _TIMESTAMP)


def _floats(values: Sequence[Any]) -> Any:
    return pa.array([to_float(value) for value in values], pa.float64())


def _integers(name: str, values: Sequence[Any], exact: list[dict[str, Any]]) -> Any:
    held = [to_int64(value) for value in values]
    for found, value, kept in zip(exact, values, held, strict=True):
        if kept is None and value is not None:
            found[name] = value
    return pa.array(held, pa.int64())


def _texts(name: str, values: Sequence[str | None], exact: list[dict[str, Any]]) -> Any:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeEncodeError):
        held = [value and _encodable(value) for value in values]
        for found, value, kept in zip(exact, values, held, strict=True):
            if value != kept:
                found[name] = value
        return pa.array(held, pa.string())


def _arrow(column: Column) -> Any:
    """A column of the run's table as Arrow holds it in the file."""
    values = column.array(Arena(column.nbytes))
    if isinstance(column, ObjectColumn):
        texts = [None if value is None else _encodable(_json(value)) for value in values]
        return pa.array(texts, pa.string())
    array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    return array


def _frames(rows: Sequence[Row]) -> Any:
    offsets = [0]
    flat: list[EncodedFrame] = []
    known = [row.sample is not None and row.pictures for row in rows]
    for row, has in zip(rows, known, strict=True):
        if has and row.sample is not None:
            flat += row.sample.frames
        offsets.append(len(flat))
    pictures = pa.StructArray.from_arrays(
        [
            pa.array([float(frame.media_time) for frame in flat], pa.float64()),
            pa.array([frame.width for frame in flat], pa.int32()),
            pa.array([frame.height for frame in flat], pa.int32()),
            pa.array([frame.data for frame in flat], pa.binary()),
        ],
        fields=list(_PICTURE),
    )
    mask = pa.array([not has for has in known], pa.bool_())
    where = pa.array(offsets, pa.int32())
    return pa.ListArray.from_arrays(where, pictures, type=_PICTURES, mask=mask)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "null"  # no JSON came of it, so none led to it; the answer's text is there


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _surrogatepass(values: Mapping[str, Any]) -> bytes | None:
    if not values:
        return None
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
