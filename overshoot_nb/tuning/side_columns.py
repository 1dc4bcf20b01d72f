"""The answers of backfills as columns beside the rows that are about the same samples."""

from __future__ import annotations

import threading
import warnings
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.store.columns import Arena, Column, NullableColumn, TextColumn
from overshoot_nb.store.fields import is_answer
from overshoot_nb.store.later_answers import LaterAnswers
from overshoot_nb.store.output_columns import output_columns
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import StreamInferenceResult

#: pandas calls a DataFrame fragmented from 100 columns on that were added one by one.
FRAGMENTED = 90


class _Side:
    """One column of a backfill and its parts, a value for each answered sample.

    Attributes:
        samples: the samples, in the order of the values.
        arrays: values by name of their column.
    """

    def __init__(
        self, column: str, version: PromptVersion, answers: dict[int, StreamInferenceResult]
    ) -> None:
        results = list(answers.values())
        text, ok, error = TextColumn(), NullableColumn(np.bool_), TextColumn()
        # No answer is no text, where an empty answer is one.
        text.extend([result.result if is_answer(result) else None for result in results])
        ok.extend([result.ok for result in results])
        error.extend([result.error for result in results])
        columns: dict[str, Column] = {column: text, f"{column}.ok": ok, f"{column}.error": error}
        if any(result.reasoning for result in results):
            reasoning = columns[f"{column}.reasoning"] = TextColumn()
            reasoning.extend([result.reasoning for result in results])
        if version.output_schema is not None:
            outputs = [result.output for result in results]
            for out in output_columns(version.output_schema):
                out.column.extend([out.pick(output) for output in outputs])
                columns[f"{column}.{out.name}"] = out.column
        arena = Arena(sum(values.nbytes for values in columns.values()))
        self.samples = np.fromiter(answers, np.int64, len(answers))
        self.arrays = {name: values.array(arena) for name, values in columns.items()}


class _Built:
    """All sides, as they were when the answers had changed so often."""

    def __init__(self, later: LaterAnswers) -> None:
        self.changes = later.changes  # before they are read: one that comes now is seen next time
        self.sides = [
            _Side(column, version, later.of(version.version))
            for column, version in later.columns.items()
        ]


_lock = threading.Lock()
_built: WeakKeyDictionary[LaterAnswers, _Built] = WeakKeyDictionary()


def add_side_columns(frame: pd.DataFrame, later: LaterAnswers) -> None:
    """Add what later answers say to the rows of a DataFrame, in place.

    For each column of :attr:`LaterAnswers.columns`, in that order: ``<column>`` (str, the answer's
    text), ``<column>.ok`` (boolean), ``<column>.error`` (str), ``<column>.reasoning`` (str) where a
    model showed any and, with a schema, ``<column>.out.<name>`` with the dtypes that
    ``ResultTable`` gives them. Missing where the sample was not asked
    about, and the text where no answer came.

    Args:
        frame: rows of a stream, with the column ``sample``; the caller's own.
        later: the answers.
    """
    with _lock:
        built = _built.get(later)
        if built is None or built.changes != later.changes:
            built = _built[later] = _Built(later)
    if frame.shape[1] + sum(len(side.arrays) for side in built.sides) < FRAGMENTED:
        _add(frame, built.sides)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        _add(frame, built.sides)


def _add(frame: pd.DataFrame, sides: list[_Side]) -> None:
    samples = frame["sample"].to_numpy()
    for side in sides:
        # All that have a row were asked about in their order, as most often: nothing is looked up.
        alike = np.array_equal(samples, side.samples)
        places = None if alike else _places(samples, side.samples)
        for name, values in side.arrays.items():
            frame[name] = _taken(values, places, frame.index)


def _places(
    samples: npt.NDArray[np.int64], answered: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Where each sample is among those answered, -1 where it is not."""
    size = int(max(samples.max(initial=-1), answered.max(initial=-1))) + 1
    places = np.full(size, -1, np.intp)
    places[answered] = np.arange(len(answered))
    return places[samples]


def _taken(values: Any, places: npt.NDArray[np.intp] | None, index: pd.Index) -> Any:
    """The values at ``places``, missing at -1; all where there are none. The caller's own."""
    if places is None:
        return values.set_axis(index).copy() if isinstance(values, pd.Series) else values.copy()
    if isinstance(values, pd.Series):  # of objects, whose missing value is None as in the table
        cells = np.full(len(places), None, object)
        there = places >= 0
        cells[there] = values.to_numpy()[places[there]]
        return pd.Series(cells, index, dtype=object, copy=False)
    return pd.api.extensions.take(values, places, allow_fill=True)
