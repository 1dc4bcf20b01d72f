"""The columns of a ``ResultTable``: what each holds of a result, in the table's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from overshoot_nb.types import StreamInferenceResult

from .columns import (
    Arena,
    CategoryColumn,
    Column,
    NullableColumn,
    NumberColumn,
    TextColumn,
    TimeColumn,
    duration_us,
    timestamp_us,
    to_float,
    to_int64,
)
from .output_columns import OutputColumn, output_columns

_Pick = Callable[[StreamInferenceResult], Any]


def _integers() -> Column:
    # Our own counters, never negative: -1 could only be a value that is no integer.
    return NumberColumn(np.int64, to_int64, -1)


def _floats() -> Column:
    return NumberColumn(np.float64, to_float, np.nan)


def _tokens(name: str) -> _Pick:
    return lambda result: getattr(result.usage, name, None)


def _cents(result: StreamInferenceResult) -> float | None:
    return result.usage.cost_cents if result.usage is not None else None


def _of_answer(out: OutputColumn) -> _Pick:
    return lambda result: out.pick(result.output)


class Layout:
    """All columns, filled together.

    Args:
        output_schemas: JSON schemas that answers fit, oldest first.
    """

    def __init__(self, *output_schemas: Mapping[str, Any]) -> None:
        self._outputs = output_columns(*output_schemas)
        before: list[tuple[str, _Pick, Column]] = [
            ("sample", attrgetter("sample"), _integers()),
            ("media_time", attrgetter("media_time"), TimeColumn(duration_us, duration=True)),
            ("captured_at", attrgetter("captured_at"), TimeColumn(timestamp_us)),
            ("answered_at", attrgetter("answered_at"), TimeColumn(timestamp_us)),
            ("ok", attrgetter("ok"), NumberColumn(np.bool_, bool, missing=False)),
            ("result", attrgetter("result"), TextColumn()),
        ]
        after: list[tuple[str, _Pick, Column]] = [
            ("error", attrgetter("error"), TextColumn()),
            ("reasoning", attrgetter("reasoning"), TextColumn()),
            ("mode", attrgetter("mode"), CategoryColumn()),
            ("model", attrgetter("model_name"), CategoryColumn()),
            ("prompt", attrgetter("prompt"), CategoryColumn()),
            ("prompt_version", attrgetter("prompt_version"), _integers()),
            ("finish_reason", attrgetter("finish_reason"), CategoryColumn()),
            ("inference_latency_ms", attrgetter("inference_latency_ms"), _floats()),
            ("total_latency_ms", attrgetter("total_latency_ms"), _floats()),
            ("prompt_tokens", _tokens("prompt_tokens"), NullableColumn(np.int64)),
            ("completion_tokens", _tokens("completion_tokens"), NullableColumn(np.int64)),
            ("total_tokens", _tokens("total_tokens"), NullableColumn(np.int64)),
            ("cost_cents", _cents, _floats()),
            ("copied_from", attrgetter("copied_from"), NullableColumn(np.int64)),
            ("stream_id", attrgetter("stream_id"), CategoryColumn()),
            ("id", attrgetter("id"), TextColumn()),
        ]
        self._fields = before + after
        self._picks = {name: pick for name, pick, _ in self._fields}
        self._picks |= {out.name: _of_answer(out) for out in self._outputs}
        self._columns = {
            **{name: column for name, _, column in before},
            **{out.name: out.column for out in self._outputs},
            **{name: column for name, _, column in after},
        }

    def extend(self, results: Sequence[StreamInferenceResult]) -> None:
        """Add a row for each result."""
        if not results:
            return
        for _, pick, column in self._fields:
            column.extend(list(map(pick, results)))
        if self._outputs:
            answers = [result.output for result in results]
            for out in self._outputs:
                out.column.extend([out.pick(answer) for answer in answers])

    def cell(self, name: str, result: StreamInferenceResult) -> Any:
        """What the column of that name has, or would have, of a result.

        Raises:
            KeyError: there is no such column.
        """
        return self._columns[name].cell(self._picks[name](result))

    def frame(self) -> pd.DataFrame:
        """A DataFrame of all rows that shares nothing changeable with the columns."""
        arena = Arena(sum(column.nbytes for column in self._columns.values()))
        arrays = {name: column.array(arena) for name, column in self._columns.items()}
        return pd.DataFrame(arrays, copy=False)  # they are copies already
