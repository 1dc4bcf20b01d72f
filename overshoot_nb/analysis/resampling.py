"""``resample``: what was answered in each stretch of media time."""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError

from .runs import answered, by_run, holds_answers, plain, result_rows
from .time_grid import PERCENTILE, nullable, time_grid

How = str | Callable[[pd.Series], Any]

#: What can be made of any values.
_OF_ANY = ("first", "last", "count", "nunique")
#: What can be made of numbers and truth values; percentiles are "p50", "p99.9".
_OF_NUMBERS = ("mean", "median", "min", "max", "sum", "std", "any", "all")

#: Not something that changes over time, or said by "n" and "errors" already.
_LEFT_OUT = frozenset(
    ("media_time", "stream_id", "id", "ok", "error", "answered_at", "copied_from")
) | frozenset(  # of a recording's file
    ("kind", "reason", "output", "frames", "video", "frame_times")
)
#: What the result counts itself; a column of that name would hide it.
_COUNTS = ("n", "errors")
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
    grid = time_grid(by_run(rows, "resample"), step)
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
        elif function in ("mean", "sum"):
            columns[name] = grid.added(_numbers(values, there, function), function)
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
        if isinstance(value, numbers.Real):
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


# ---- what is made of a column --------------------------------------------------------------------


def _plans(rows: pd.DataFrame, how: str | Mapping[str, How] | None) -> dict[str, How]:
    """What is made of which columns, in the order in which they are shown."""
    if isinstance(how, Mapping):
        plans: dict[str, How] = {}
        for key, function in how.items():
            name = _column(rows, key)
            if name in _COUNTS:
                raise ValidationError(
                    f"how[{key!r}] is not valid: {name} is what the result calls its own count; "
                    f"rename the column first: df.rename(columns={{{name!r}: ...}})"
                )
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
        if name in _LEFT_OUT or name in _COUNTS or rows[name].ndim > 1:
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
    if isinstance(function, str) and (function in known or PERCENTILE.fullmatch(function)):
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
        made = values.astype("boolean") if _kind(values) == "boolean" else nullable(values) != 0
    elif function in ("min", "max", "sum") and _kind(values) == "number":
        made = nullable(values)
    elif function in ("min", "max"):
        made = values.astype("boolean")
    else:
        made = values.astype("Float64").astype("float64") if _is_masked(values) else values * 1.0
    return made if there is None or there.all() else made.where(there)


def _is_masked(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.api.extensions.ExtensionDtype)
