"""The values of a column as figures need them: numbers, or a few classes with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import comparable, shown

from .figures import shortened
from .runs import answered, holds_answers, plain

OTHERS = "(others)"


class Classes(NamedTuple):
    """Which of a few values each row has.

    Attributes:
        labels: the values as text, all different, in the order in which they are shown.
        codes: place in ``labels``, -1 where nothing is known. (n,)
        left_out: how many values became "(others)".
    """

    labels: tuple[str, ...]
    codes: npt.NDArray[np.intp]
    left_out: int


def column_named(rows: pd.DataFrame, column: object, method: str) -> str:
    """The column of a name, with or without its ``out.``.

    Raises:
        ValidationError: there is none, or several.
    """
    for name in (column, f"out.{column}"):
        if isinstance(name, str) and name in rows.columns:
            if rows[name].ndim > 1:
                raise ValidationError(
                    f"{method}() needs one column {name}, and these rows have several of that name"
                )
            return name
    near = get_close_matches(str(column), [str(c) for c in rows.columns], 1)
    raise ValidationError(
        f"{method}() needs the column {column}, which these rows do not have"
        + (f"; did you mean {near[0]}?" if near else "")
    )


def known(rows: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    """Which rows say something in a column: an inference that failed does not."""
    there = rows[column].notna().to_numpy(bool)
    return there & answered(rows) if holds_answers(column) else there


def is_number(values: pd.Series) -> bool:
    """Whether a column can be drawn as a line; truth values cannot."""
    values = plain(values)
    dtype = values.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def numbers(rows: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """A column as floats, NaN where nothing is known; infinities are no place on paper. (n,)"""
    given = rows[column].astype("Float64").to_numpy(np.float64, na_value=np.nan)
    values: npt.NDArray[np.float64] = np.array(given, np.float64)
    values[~known(rows, column) | ~np.isfinite(values)] = np.nan
    return values


def classes(
    values: pd.Series, there: npt.NDArray[np.bool_], most: int, *, by_count: bool
) -> Classes:
    """A column as at most ``most`` values, of which the rarest are "(others)".

    Args:
        values: what the rows say.
        there: which of them count.
        by_count: the most frequent first; else numbers and truth values by size, categories in
            their own order, and others as they first appear.
    """
    own = plain(values)[there]
    codes, distinct = _factorized(own)
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    order: list[int] = list(range(len(distinct)))
    if by_count:
        order.sort(key=lambda code: -counts[code])
    elif isinstance(own.dtype, pd.CategoricalDtype):
        places = {value: place for place, value in enumerate(own.cat.categories)}
        order.sort(key=lambda code: places[distinct[code]])
    elif is_number(own) or pd.api.types.is_bool_dtype(own.dtype):
        order.sort(key=lambda code: distinct[code])
    left_out = 0
    if len(order) > most:
        frequent = set(np.argsort(-counts, kind="stable")[: most - 1].tolist())
        left_out = len(order) - len(frequent)
        order = [code for code in order if code in frequent]
    labels = labels_of([_text(distinct[code]) for code in order])
    # One more place at the end, for what is missing.
    place_of = np.full(len(distinct) + 1, len(order) if left_out else -1, np.intp)
    place_of[order] = np.arange(len(order))
    place_of[-1] = -1
    placed = np.full(len(values), -1, np.intp)
    placed[there] = place_of[codes]
    if left_out:
        labels = labels_of([*labels, OTHERS])
    return Classes(tuple(labels), placed, left_out)


def _factorized(values: pd.Series) -> tuple[npt.NDArray[np.intp], list[Any]]:
    if values.dtype == np.dtype(object):
        # By what they say: lists cannot be looked up, and True would be taken for 1.
        code_of: dict[Hashable, int] = {}
        firsts: list[Any] = []
        placed = np.empty(len(values), np.intp)
        for place, value in enumerate(map(_python, values)):
            code = placed[place] = code_of.setdefault(comparable(value), len(firsts))
            if code == len(firsts):
                firsts.append(value)
        return placed, firsts
    codes, distinct = pd.factorize(values)
    return codes, distinct.tolist()


def _python(value: Any) -> Any:
    """A value of numpy's as Python's own."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _text(value: Any) -> str:
    value = _python(value)
    return value if isinstance(value, str) else shown(value)


def labels_of(texts: list[str]) -> list[str]:
    """Texts as short labels, all different.

    Texts that begin alike show their ends too, and those that still look alike get a number.
    """
    labels = [shortened(text) or "(empty)" for text in texts]
    often = Counter(labels)
    seen: set[str] = set()
    made = []
    for text, label in zip(texts, labels, strict=True):
        if often[label] > 1:
            label = shortened(text, middle=True) or label
        free, number = label, 1
        while free in seen:
            number += 1
            free = f"({number}) {label}"
        seen.add(free)
        made.append(free)
    return made


def summary(rows: pd.DataFrame) -> str:
    """What a figure is of: "1,200 answers, 3 failed; local/read"."""
    ok = answered(rows)
    text = f"{int(ok.sum()):,} answer{'' if ok.sum() == 1 else 's'}"
    if failed := int((~ok).sum()):
        text += f", {failed:,} failed"
    if "model" in rows and rows["model"].ndim == 1:
        models = [shortened(str(name)) for name in rows["model"].dropna().unique()]
        if models:
            text += f"; {', '.join(models[:2])}"
            text += f" and {len(models) - 2} more models" if len(models) > 2 else ""
    return text
