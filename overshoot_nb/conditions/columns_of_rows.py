"""Columns of a DataFrame as what conditions compute with.

Numbers, truths and times are arrays. Everything else is a list of distinct values and an array of
their numbers, so that what an operator means can be asked of each distinct value once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from .kinds import Kind
from .texts import Texts
from .tree import Constant
from .values import plain

#: In this order "and" is the least of several, "or" the greatest, and "not x" is 2 - x.
FALSE, UNKNOWN, TRUE = 0, 1, 2
Truths = NDArray[np.int8]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What a missing time is as a number.
NAT = np.iinfo(np.int64).min
#: The times that a datetime can say, which is what a single value is; others are missing.
_FIRST, _LAST = (
    (end.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    for end in (datetime.min, datetime.max)
)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Numbers, and timedeltas as seconds."""

    values: NDArray[np.float64]  # NaN is missing


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Moments in UTC."""

    ticks: NDArray[np.int64]  # microseconds since 1970, NAT is missing


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """True, false or unknown."""

    truths: Truths


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Texts, lists, objects, or whatever a column of Python objects has."""

    codes: NDArray[np.intp]  # the place of each row's value, -1 is missing
    values: list[Any]


@dataclass(frozen=True, slots=True, eq=False)
class CodedTexts(Coded):
    """The same where every value is a text."""

    texts: Texts

    def known(self, found: NDArray[np.bool_], missing: bool | None) -> Known:
        """What was found of each distinct text, and is so where there is none, of each row."""
        truths = np.full(len(found) + 1, UNKNOWN if missing is None else TRUE * missing, np.int8)
        truths[:-1] = TRUE * found  # the last one is of code -1
        return Known(truths[self.codes])


Column = Numbers | Times | Known | Coded
Value = Column | Constant


def column_kind(column: pd.Series[Any]) -> Kind:
    """What a column holds, by its dtype."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
        if pd.api.types.is_object_dtype(dtype):  # strings, in pandas 2
            texts = pd.api.types.infer_dtype(column.cat.categories) in ("string", "empty")
            return "text" if texts else "any"
        return "text" if pd.api.types.is_string_dtype(dtype) else "any"
    if pd.api.types.is_object_dtype(dtype):
        return "any"
    if pd.api.types.is_bool_dtype(dtype):
        return "truth"
    if pd.api.types.is_timedelta64_dtype(dtype) or dtype.kind in "iufm":
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype) or dtype.kind == "M":
        return "time"
    texts = isinstance(dtype, pd.StringDtype)
    texts |= isinstance(dtype, pd.ArrowDtype) and dtype.type is str
    return "text" if texts else "any"


def read_column(column: pd.Series[Any]) -> Column:
    """A column as arrays."""
    kind = column_kind(column)
    dtype = column.dtype
    if kind == "number" and dtype.kind == "m":
        if isinstance(dtype, pd.ArrowDtype):
            column = column.astype("timedelta64[us]")
        ticks = column.to_numpy("timedelta64[us]").astype(np.int64)
        return Numbers(np.where(ticks == NAT, np.nan, ticks / 1e6))
    if kind == "number":
        return Numbers(column.to_numpy(np.float64, na_value=np.nan))
    if kind == "truth":
        missing = column.isna().to_numpy()
        true = column.to_numpy(np.bool_, na_value=False)
        return Known(np.where(missing, UNKNOWN, np.where(true, TRUE, FALSE)).astype(np.int8))
    if kind == "time":
        if isinstance(dtype, pd.ArrowDtype):
            column = pd.to_datetime(column.astype(object), utc=True)
        if column.dt.tz is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        ticks = column.to_numpy("datetime64[us]").astype(np.int64)
        return Times(np.where((ticks < _FIRST) | (ticks > _LAST), NAT, ticks))
    if isinstance(dtype, pd.CategoricalDtype):
        values = [plain(value) for value in column.cat.categories]
        return Coded(column.cat.codes.to_numpy().astype(np.intp), values)
    if kind == "text" or pd.api.types.infer_dtype(column, skipna=True) == "string":
        return _coded_texts(column)
    cells = [plain(cell) for cell in column]
    codes = np.arange(len(cells))
    codes[[cell is None for cell in cells]] = -1
    return Coded(codes, cells)


def _coded_texts(column: pd.Series[Any]) -> Coded:
    try:
        array = pa.array(column, from_pandas=True)
    except UnicodeEncodeError:  # a lone surrogate, which a Python object may hold
        codes, distinct = pd.factorize(column)
        return Coded(codes, np.asarray(distinct, object).tolist())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    texts = Texts(encoded.dictionary)
    return CodedTexts(codes, texts.values, texts)


def cells_of(value: Value, length: int) -> list[Any]:
    """A column as single values."""
    match value:
        case Constant():
            return [value.value] * length
        case Numbers():
            return [None if math.isnan(x) else x for x in value.values.tolist()]
        case Times():
            ticks = value.ticks.tolist()
            return [None if t == NAT else EPOCH + timedelta(microseconds=t) for t in ticks]
        case Known():
            return [(False, None, True)[truth] for truth in value.truths.tolist()]
        case Coded():
            distinct = [*value.values, None]
            return [distinct[code] for code in value.codes.tolist()]


def column_of(values: list[Any], codes: NDArray[np.intp] | None = None) -> Column:
    """Single values as a column; with codes, of each row the value there: -1 is the last one."""
    if codes is None:
        codes = np.arange(len(values))
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {bool}:
        truths = np.array([UNKNOWN if v is None else TRUE * v for v in values], np.int8)
        return Known(truths[codes])
    if kinds <= {float}:
        return Numbers(np.array(values, np.float64)[codes])  # of None, numpy makes NaN
    missing = np.array([value is None for value in values])
    return Coded(np.where(missing[codes], -1, codes), values)
