"""``resample``: what was answered in each stretch of media time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.errors import ValidationError

from .rows import require
from .runs import Runs, answered, by_run, holds_answers, plain, result_rows

__all__ = ["How", "duration_us", "resample"]

How = str | Callable[[pd.Series], Any]

#: More than these would fill the memory: a few rows far apart, and a short step.
MOST_BINS = 5_000_000

#: What can be made of any values.
_OF_ANY = ("first", "last", "count", "nunique")
#: What can be made of numbers and truth values; percentiles are "p50", "p99.9".
_OF_NUMBERS = ("mean", "median", "min", "max", "sum", "std", "any", "all")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")

#: Not something that changes over time, or said by "n" and "errors" already.
_LEFT_OUT = frozenset(
    ("media_time", "stream_id", "id", "ok", "error", "answered_at")
) | frozenset(  # of a recording's file
    ("kind", "reason", "output", "frames", "video", "frame_times")
)
_BY_NAME = {
    "sample": "first",
    "captured_at": "first",
    "prompt_version": "last",
    "prompt_tokens": "sum",
    "completion_tokens": "sum",
    "total_tokens": "sum",
    "cost_cents": "sum",
}


def resample(
    rows: pd.DataFrame, by: object = "1s", how: str | Mapping[str, How] | None = None
) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.resample`."""
    step = duration_us(by, "by")
    require(rows, "resample", "media_time")
    rows = result_rows(rows)
    grid = _grid(by_run(rows, "resample"), step)
    if not np.array_equal(grid.order, np.arange(len(rows))):  # most often they are in order
        rows = rows.iloc[grid.order]
    given_ok = answered(rows)
    columns: dict[str, Any] = {}
    if "stream_id" in rows:
        columns["stream_id"] = grid.ids(rows["stream_id"])
    columns["n"] = np.bincount(grid.bins, minlength=grid.size)
    if "ok" in rows:
        columns["errors"] = np.bincount(grid.bins[~given_ok], minlength=grid.size)

    plans = _plans(rows, how)
    together: dict[str, list[tuple[str, pd.Series]]] = {}
    for name, function in plans.items():
        values = plain(rows[name])
        # An inference that failed says nothing about the video, whatever text came of it.
        there = given_ok if holds_answers(name) else None
        columns[name] = None  # its place
        if callable(function):
            columns[name] = grid.each(values, there, function)
        elif function in _OF_ANY:
            columns[name] = grid.picked(values, there, function)
        else:
            together.setdefault(function, []).append((name, _numbers(values, there, function)))
    for function, several in together.items():
        columns.update(grid.computed(several, function))
    return pd.DataFrame(columns, index=grid.index)


def duration_us(value: object, name: str) -> int:
    """A length of time in microseconds.

    Args:
        value: seconds, a timedelta, or text such as "1s", "500ms", "2min".

    Raises:
        ValidationError: it is none, or not longer than zero.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float):
            seconds = float(value)
        elif isinstance(value, str | timedelta | np.timedelta64):
            # "s" is a second to pandas' offsets, and nothing to its timedeltas.
            text = isinstance(value, str) and re.fullmatch(r"\s*[a-zA-Zµ]+\s*", value)
            seconds = pd.Timedelta(f"1{value}" if text else value).total_seconds()
        else:
            raise ValueError
        us = round(seconds * 1e6)
    except (ValueError, OverflowError):
        raise ValidationError(
            f'{name}={value!r} is no length of time: seconds, or text such as "1s", "500ms", "2min"'
        ) from None
    if us < 1:
        raise ValidationError(f"{name}={value!r} is not valid: it must be longer than zero")
    return us


# ---- the grid ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Grid:
    """Which bin each row is in. Bins are numbered through all runs.

    Attributes:
        order: positions of the rows in the caller's DataFrame, in order.
        bins: the bin of each row, in order; ascending.
        run: the run of each bin.
        index: the time at which each bin begins.
        firsts: the first row of each run, in order.
    """

    order: npt.NDArray[np.intp]
    bins: npt.NDArray[np.int64]
    run: npt.NDArray[np.intp]
    index: pd.TimedeltaIndex
    firsts: npt.NDArray[np.intp]

    @property
    def size(self) -> int:
        return len(self.index)

    def ids(self, stream_ids: pd.Series) -> Any:
        """The stream of each bin, of the dtype that the rows have."""
        return stream_ids.array.take(self.firsts[self.run])

    def picked(
        self, values: pd.Series, there: npt.NDArray[np.bool_] | None, function: str
    ) -> npt.NDArray[Any] | pd.Series:
        """The first or last value of each bin, or how many (different) ones it has."""
        known = values.notna().to_numpy(bool)
        if there is not None:
            known = known & there
        at = np.flatnonzero(known)
        if function == "count":
            return np.bincount(self.bins[at], minlength=self.size)
        if function == "nunique":
            codes = _codes(values.iloc[at])
            pairs = np.unique(np.stack([self.bins[at], codes]), axis=1)[0]
            return np.bincount(pairs, minlength=self.size)
        if function == "first":
            at = at[::-1]
        place = np.full(self.size, -1, np.intp)
        place[self.bins[at]] = at  # of several in one bin the last one stays
        taken = pd.api.extensions.take(_nullable(values).array, place, allow_fill=True)
        if values.dtype == object:
            taken[place < 0] = None  # as in the table
        return pd.Series(taken, self.index, dtype=taken.dtype, copy=False)

    def computed(self, several: list[tuple[str, pd.Series]], function: str) -> dict[str, Any]:
        """A figure of each bin, for each of the columns."""
        groups = pd.concat([values for _, values in several], axis=1, ignore_index=True)
        grouped = groups.reset_index(drop=True).groupby(self.bins)
        if percentile := _PERCENTILE.fullmatch(function):
            figures = grouped.quantile(float(percentile[1]) / 100)
        elif function == "sum":
            figures = grouped.sum(min_count=1)  # nothing is not zero
        elif function in ("any", "all"):
            # Of no known value neither is known.
            figures = (grouped.max if function == "any" else grouped.min)()
        else:
            figures = getattr(grouped, function)()
        made = {name: figures[number].array for number, (name, _) in enumerate(several)}
        if len(figures) == self.size:
            return made
        place = np.full(self.size, -1, np.intp)
        place[figures.index] = np.arange(len(figures))
        take = pd.api.extensions.take
        return {name: take(array, place, allow_fill=True) for name, array in made.items()}

    def each(
        self,
        values: pd.Series,
        there: npt.NDArray[np.bool_] | None,
        function: Callable[[pd.Series], Any],
    ) -> pd.Series:
        """What a function makes of the values of each bin that has any."""
        known = values.notna().to_numpy(bool)
        if there is not None:
            known = known & there
        made = np.full(self.size, None, object)
        number: Any
        for number, own in values[known].groupby(self.bins[known]):
            made[number] = function(own)
        return pd.Series(made, self.index, dtype=object).convert_dtypes()


def _grid(runs: Runs, step: int) -> _Grid:
    k = runs.us // step
    starts = runs.starts
    firsts = starts[:-1]
    first, last = k[firsts], k[starts[1:] - 1]
    sizes = last - first + 1
    total = int(sizes.sum())
    if total > MOST_BINS:
        raise ValidationError(
            f"by={step / 1e6:g} s makes {total:,} stretches of these rows, more than "
            f"{MOST_BINS:,}: give a longer one"
        )
    offsets = np.cumsum(sizes) - sizes
    bins = k - first[runs.run] + offsets[runs.run]
    run = np.repeat(np.arange(len(runs)), sizes)
    begins = (np.arange(total) - offsets[run] + first[run]) * step
    index = pd.TimedeltaIndex(begins.view("m8[us]"), name="media_time")
    return _Grid(runs.order, bins, run, index, firsts)


# ---- what is made of a column --------------------------------------------------------------------


def _plans(rows: pd.DataFrame, how: str | Mapping[str, How] | None) -> dict[str, How]:
    """What is made of which columns, in the order in which they are shown."""
    if isinstance(how, Mapping):
        plans: dict[str, How] = {}
        for key, function in how.items():
            name = _column(rows, key)
            if not callable(function):
                _check(function, f"how[{key!r}]")
                if not _fits(function, plain(rows[name])):
                    raise ValidationError(
                        f"how[{key!r}]={function!r} is for numbers and truth values, and column "
                        f"{name} has dtype {rows[name].dtype}: take one of {_words(_OF_ANY)}, or a "
                        f"function"
                    )
            plans[name] = function
        return plans
    if how is not None:
        _check(how, "how")
    plans = {}
    for name in rows.columns:
        if name in _LEFT_OUT or rows[name].ndim > 1:
            continue
        values = plain(rows[name])
        plans[name] = how if how is not None and _fits(how, values) else _default(name, values)
    return plans


def _default(name: str, values: pd.Series) -> str:
    if name in _BY_NAME:
        return _BY_NAME[name]
    return "last" if _kind(values) == "other" else "mean"


def _kind(values: pd.Series) -> Literal["number", "boolean", "other"]:
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    return "number" if pd.api.types.is_numeric_dtype(values.dtype) else "other"


def _fits(function: str, values: pd.Series) -> bool:
    return function in _OF_ANY or _kind(values) != "other"


def _check(function: object, where: str) -> None:
    known = (*_OF_ANY, *_OF_NUMBERS)
    if isinstance(function, str) and (function in known or _PERCENTILE.fullmatch(function)):
        return
    near = get_close_matches(function, known, 1) if isinstance(function, str) else []
    raise ValidationError(
        f"{where}={function!r} is not known"
        + (f"; did you mean {near[0]!r}?" if near else "")
        + f": it is one of {_words(known)}, or a percentile such as 'p95'; in a dict of columns "
        f"also a function of a Series"
    )


def _column(rows: pd.DataFrame, key: object) -> str:
    for name in (key, f"out.{key}"):
        if name in rows.columns and rows[name].ndim == 1:
            return name  # type: ignore[return-value]
    near = get_close_matches(str(key), [str(c) for c in rows.columns], 1)
    raise ValidationError(
        f"resample() needs the column {key}, which these rows do not have"
        + (f"; did you mean {near[0]}?" if near else "")
    )


def _words(words: Iterable[str]) -> str:
    return ", ".join(map(repr, words))


def _numbers(values: pd.Series, there: npt.NDArray[np.bool_] | None, function: str) -> pd.Series:
    """Values to compute with: integers stay some where they can, missing ones are missing."""
    made: pd.Series
    if function in ("any", "all"):
        made = values.astype("boolean") if _kind(values) == "boolean" else _nullable(values) != 0
    elif function in ("min", "max", "sum") and _kind(values) == "number":
        made = _nullable(values)
    elif function in ("min", "max"):
        made = values.astype("boolean")
    else:
        made = values.astype("Float64").astype("float64") if _is_masked(values) else values * 1.0
    return made if there is None or there.all() else made.where(there)


def _is_masked(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.api.extensions.ExtensionDtype)


def _nullable(values: pd.Series) -> pd.Series:
    """The same with a dtype that can be missing, without integers becoming floats."""
    if values.dtype == bool:
        return values.astype("boolean")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        return values.astype("UInt64" if values.dtype.kind == "u" else "Int64")
    return values


def _codes(values: pd.Series) -> npt.NDArray[np.intp]:
    """The same number for the same values."""
    try:
        return pd.factorize(values)[0]
    except TypeError:  # lists and dicts
        return pd.factorize(np.array([repr(v) for v in values], object))[0]
