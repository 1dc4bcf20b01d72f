"""``explode``: the items of lists as rows, the keys of objects as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.columns import TEXT
from overshoot_nb.store.fields import fields_of

#: With more columns than these it is no table any more, and each takes room for every item.
MOST_KEYS = 1_000
_INT64 = range(-(2**63), 2**63)
#: What a row of the result keeps of the row that it came from, where that has it.
_KEPT = ("stream_id", "sample", "media_time")


def explode(rows: pd.DataFrame, column: str, keep_empty: bool) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.explode`."""
    if column not in rows and f"out.{column}" in rows:
        column = f"out.{column}"
    require(rows, "explode", column)
    lists = as_lists(rows[column], column)
    lengths = np.array([len(items) for items in lists], np.intp)
    shown = np.maximum(lengths, 1) if keep_empty else lengths
    places = np.repeat(np.arange(len(rows)), shown)
    kept = [name for name in _KEPT if name in rows and rows[name].ndim == 1]
    exploded = rows[kept].iloc[places].copy()

    count = len(places)
    # Where each row's items begin among all; an empty one has a place, and nothing in it.
    starts = np.cumsum(shown) - shown
    number = np.arange(count) - np.repeat(starts, shown)
    empty = np.repeat(lengths == 0, shown)
    exploded["item"] = pd.arrays.IntegerArray(number.astype(np.int64), empty)

    whole = np.full(count, None, object)
    parts: dict[str, tuple[list[int], list[Any]]] = {}
    has_whole = has_objects = False
    for start, items in zip(starts, lists, strict=True):
        for place, item in enumerate(items, start):
            if not isinstance(item, Mapping):
                whole[place] = item
                has_whole = True
                continue
            has_objects = True
            for key, value in fields_of(item).items():
                name = str(key)
                if name not in parts:
                    if len(parts) == MOST_KEYS:
                        raise ValidationError(
                            f"explode() makes a column of each key, and the objects of {column} "
                            f"have more than {MOST_KEYS:,} different ones: their keys seem to be "
                            "values; give rows of fewer answers"
                        )
                    parts[name] = ([], [])
                at, values = parts[name]
                at.append(place)
                values.append(value)
    if has_whole or not has_objects:
        exploded[column] = typed(whole, exploded.index)
    made = {
        f"{column}.{key}": typed(_spread(*part, count), exploded.index)
        for key, part in parts.items()
    }
    return pd.concat([exploded, pd.DataFrame(made, exploded.index)], axis=1) if made else exploded


def _spread(places: list[int], values: list[Any], count: int) -> list[Any]:
    """Values at their places among ``count``, None elsewhere."""
    if len(values) == count:
        return values
    cells = [None] * count
    for place, value in zip(places, values, strict=True):
        cells[place] = value
    return cells


def as_lists(cells: pd.Series, column: str) -> list[list[Any]]:
    """The items of each cell: an object is one, and what is missing has none.

    Lists of a file that was read with pandas are understood too: arrays, and JSON text.

    Raises:
        ValidationError: a cell holds neither a list nor an object.
    """
    lists = []
    for place, cell in enumerate(cells.to_numpy(object)):
        value = cell
        if isinstance(cell, str) and cell[:1] in ("[", "{"):
            try:
                value = orjson.loads(cell)
            except orjson.JSONDecodeError:
                value = cell
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, list | tuple):
            lists.append(list(value))
        elif isinstance(value, Mapping):
            lists.append([value])
        elif pd.api.types.is_scalar(value) and pd.isna(value):
            lists.append([])
        else:
            raise ValidationError(
                f"explode() needs a column of lists or objects, and row {place} of {column} holds "
                f"{_cut(value)}"
            )
    return lists


def typed(values: Iterable[Any], index: pd.Index) -> pd.Series:
    """Values as a column of the narrowest of the table's own dtypes that holds all of them."""
    cells = list(values)
    known = [v for v in cells if v is not None]
    kinds = {type(v) for v in known}
    dtype: Any = object
    if kinds == {bool}:
        dtype = "boolean"
    elif kinds == {int} and all(v in _INT64 for v in known):
        dtype = "Int64"
    elif kinds == {str} and _encodable(known):
        dtype = TEXT
    elif kinds and kinds <= {int, float} and all(abs(v) <= 2**53 for v in known if type(v) is int):
        dtype = "float64"
    if dtype is object:
        made = np.empty(len(cells), object)
        for place, value in enumerate(cells):  # one by one: numpy takes lists for a matrix
            made[place] = value
        return pd.Series(made, index, dtype=object)
    return pd.Series(pd.array(cells, dtype=dtype), index)


def _encodable(texts: list[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
