"""What a row is about: its time, its run, its sample. And which columns rows must have.

Rows are those of ``stream.df``, or were made of them: filtered, joined, concatenated, read from a
file. Media time is a timedelta in a stream's rows and seconds in those of a recording that was read
with pandas; both are understood everywhere, and so is the text that a CSV has for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.running.run_registry import find_run, find_runs
from overshoot_nb.store.stored_sample import StoredSample

if TYPE_CHECKING:
    import pandas as pd


def media_seconds(rows: pd.DataFrame, method: str = "media_seconds") -> NDArray[np.float64]:
    """The media time of each row in seconds, NaN where it is missing; a new array, shape (n,).

    Raises:
        ValidationError: there is no column ``media_time``, or it holds no times.
    """
    import pandas as pd

    require(rows, method, "media_time")
    times = rows["media_time"]
    kind = times.dtype.kind
    if kind in "iuf":
        return times.to_numpy(np.float64, na_value=np.nan, copy=True)
    try:
        if kind in "bM":
            raise TypeError("these are no times since the first frame")
        if kind != "m":  # the text of a CSV: seconds, or what pandas writes for a timedelta
            numbers = pd.to_numeric(times.astype(object), errors="coerce")
            if numbers.count() == times.count():
                return numbers.to_numpy(np.float64, na_value=np.nan, copy=True)
        if not pd.api.types.is_timedelta64_dtype(times.dtype):
            times = pd.to_timedelta(times.astype(object))  # Arrow's durations too
    except (ValueError, TypeError) as error:
        raise ValidationError(
            f"the column media_time holds {times.dtype}, which {method}() cannot read as times: "
            f"give timedeltas, or seconds as numbers ({error})"
        ) from error
    ticks = times.to_numpy("timedelta64[us]")
    seconds: NDArray[np.float64] = ticks.astype(np.int64) / 1e6
    seconds[np.isnat(ticks)] = np.nan
    return seconds


def run_of(stream_id: object) -> Run | None:
    """The run whose rows have this ``stream_id``; None where nothing is known of it any more."""
    return find_run(str(stream_id))


def row_at(rows: pd.DataFrame, position: int) -> pd.Series[Any]:
    """The row at a position, -1 is the last.

    Raises:
        LookupError: there is none.
    """
    if not -len(rows) <= position < len(rows):
        count = f"{len(rows)} rows, 0 to {len(rows) - 1}" if len(rows) else "no rows"
        raise LookupError(f"there is no row {position}: there are {count}")
    return rows.iloc[position]


def sample_of(row: pd.Series[Any] | Mapping[str, Any] | int, rows: Any = None) -> StoredSample:
    """The sample that a row is about, with its pictures, wherever they are kept.

    Args:
        row: a row as a Series or a mapping (``stream_id`` and ``sample`` are read), or, with
            ``rows``, its position there: what ``rows.iloc`` takes, whatever the index says.
        rows: the DataFrame that positions are of.

    Raises:
        ValidationError: this is no row, or lacks ``stream_id`` or ``sample``.
        LookupError: there is no row at that position.
        SampleNotKeptError: the pictures are not kept; says why, and what to do.
    """
    if rows is not None and isinstance(row, int | np.integer) and not isinstance(row, bool):
        row = row_at(rows, int(row))
    if not _is_row(row):
        raise ValidationError(
            f"{row!r} is no row: give its position (0 is the first), or the row itself (df.iloc[0])"
        )
    stream_id, index = _value(row, "stream_id"), _index(_value(row, "sample"))
    failure: SampleNotKeptError | None = None
    for run in find_runs(str(stream_id)):
        try:
            return run.journal.frames[index]
        except SampleNotKeptError as error:
            failure = failure or error
    if failure is None:
        failure = SampleNotKeptError(
            f"the pictures of stream {stream_id} are gone with it: keep the stream that "
            "client.streams.create(...) returns, or record it (stream.record(path), or "
            "analyze(..., record=path)) and use the rows of overshoot_nb.load(path)"
        )
    raise failure


def _is_row(row: object) -> bool:
    if isinstance(row, Mapping):
        return True
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(row, pandas.Series)


def _value(row: Any, name: str) -> Any:
    if name not in row:
        raise ValidationError(
            f"the row has no {name}, by which its pictures are found: give a row of stream.df "
            "with all its columns"
        )
    value = row[name]
    if getattr(value, "ndim", 0):
        raise ValidationError(f"the row has {name} several times: give each column once")
    if is_missing(value):
        raise ValidationError(f"the row's {name} is missing: it is of no stream")
    return value


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NA or NaT."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _index(value: Any) -> int:
    try:
        index = int(value)
        if index == float(value):
            return index
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValidationError(f"the row's sample is {value!r}, which is no sample index")
