"""The answers of a comparison as a tidy DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from overshoot_nb.store.columns import (
    Arena,
    CategoryColumn,
    Column,
    NullableColumn,
    NumberColumn,
    TextColumn,
    TimeColumn,
    duration_us,
    to_float,
    to_int64,
)
from overshoot_nb.store.output_columns import output_columns
from overshoot_nb.support.accessor_registration import register_accessor
from overshoot_nb.types import StreamInferenceResult


class TidyRow(NamedTuple):
    """An answer, and where it stands in a comparison."""

    prompt: str
    model: str
    repeat: int
    result: StreamInferenceResult
    cached: bool
    right: bool | None


def tidy_frame(rows: Sequence[TidyRow], schemas: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each answer; columns are described at ``Comparison.df``.

    Args:
        rows: in their order.
        schemas: JSON schemas that answers fit.
    """
    results = [row.result for row in rows]
    usages = [result.usage for result in results]
    outputs = output_columns(*schemas) if schemas else []
    columns: dict[str, tuple[Column, list[Any]]] = {
        "sample": (_integers(), [result.sample for result in results]),
        "media_time": (
            TimeColumn(duration_us, duration=True),
            [result.media_time for result in results],
        ),
        "prompt": (CategoryColumn(), [row.prompt for row in rows]),
        "model": (CategoryColumn(), [row.model for row in rows]),
        "repeat": (_integers(), [row.repeat for row in rows]),
        "answer": (TextColumn(), [result.result for result in results]),
        **{out.name: (out.column, [out.pick(r.output) for r in results]) for out in outputs},
        "ok": (NumberColumn(np.bool_, bool, missing=False), [result.ok for result in results]),
        "error": (TextColumn(), [result.error for result in results]),
        **_reasoning(results),
        "latency_ms": (_floats(), [result.inference_latency_ms for result in results]),
        "tokens": (NullableColumn(np.int64), [usage and usage.total_tokens for usage in usages]),
        **{
            name: (NullableColumn(np.int64), [usage and getattr(usage, name) for usage in usages])
            for name in ("prompt_tokens", "completion_tokens")
        },
        "cost_cents": (_floats(), [usage and usage.cost_cents for usage in usages]),
        "cached": (NumberColumn(np.bool_, bool, missing=False), [row.cached for row in rows]),
        "right": (NullableColumn(np.bool_), [row.right for row in rows]),
    }
    for column, values in columns.values():
        column.extend(values)
    arena = Arena(sum(column.nbytes for column, _ in columns.values()))
    arrays = {name: column.array(arena) for name, (column, _) in columns.items()}
    register_accessor()
    return pd.DataFrame(arrays, copy=False)


def _reasoning(
    results: Sequence[StreamInferenceResult],
) -> dict[str, tuple[Column, list[Any]]]:
    """The column ``reasoning``, where a model showed any."""
    thought = [result.reasoning for result in results]
    return {"reasoning": (TextColumn(), thought)} if any(thought) else {}


def _integers() -> Column:
    return NumberColumn(np.int64, to_int64, -1)


def _floats() -> Column:
    return NumberColumn(np.float64, to_float, np.nan)
