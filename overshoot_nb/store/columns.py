"""Growing columns of a fixed dtype: values are added at the end, copies are handed out.

A column takes Python values and never raises on one that it cannot hold: that one is missing.
Numbers live in numpy buffers that double, so adding is O(1) amortised, and are copied when handed
out. Text lives in Arrow chunks, which never change, so every copy shares them.

Times are counted in microseconds: what Python's own ``datetime`` resolves, and a unit that
pandas 2.2 and 3 both keep when they compute with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
#: ``str`` in pandas 3; its older sibling ``string[pyarrow]`` in pandas 2.
TEXT = pd.StringDtype("pyarrow", na_value=np.nan) if PANDAS_3 else pd.StringDtype("pyarrow")
TIMESTAMP = pd.DatetimeTZDtype("us", "UTC")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = range(-(2**63), 2**63)
_NAT = -(2**63)


# ---- one value ---------------------------------------------------------------------------------


def to_int64(value: Any) -> int | None:
    """An integer (2.0 counts as one, True does not) of 64 bits, else None."""
    if type(value) is not int:
        if not isinstance(value, float) or not value.is_integer():
            return None
        value = int(value)
    return value if value in _INT64 else None


def to_float(value: Any) -> float | None:
    """A number as a float, else None. Infinities and NaN are numbers."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def to_bool(value: Any) -> bool | None:
    """True and False themselves, else None."""
    return value if isinstance(value, bool) else None


def timestamp_us(value: Any) -> int | None:
    """Microseconds since 1970 of a datetime (UTC where it has no offset), else None."""
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    passed: timedelta = value - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def parse_timestamp_us(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO 8601 date and time (UTC without an offset), else None."""
    # A date alone is no moment, though fromisoformat would make it midnight.
    if not isinstance(value, str) or len(value) <= len("2026-01-01"):
        return None
    try:
        return timestamp_us(datetime.fromisoformat(value.upper()))  # RFC 3339: small t and z
    except ValueError:
        return None


def duration_us(value: Any) -> int | None:
    """Microseconds of a number of seconds, else None."""
    seconds = to_float(value)
    if seconds is None or not math.isfinite(seconds):
        return None
    microseconds = round(seconds * 1e6)
    return microseconds if microseconds in _INT64 else None


def _encodable(text: str) -> str:
    """The text with lone surrogates, which no encoding of text can hold, as question marks."""
    return text.encode("utf-8", "replace").decode()


# ---- columns -----------------------------------------------------------------------------------


class Column(Protocol):
    """A column that grows at its end."""

    @property
    def nbytes(self) -> int:
        """Bytes that ``array`` takes of the arena."""

    def extend(self, values: Sequence[Any]) -> None:
        """Add values at the end."""

    def array(self, arena: Arena) -> Any:
        """All values as something that ``DataFrame`` takes; later changes do not reach it."""

    def cell(self, value: Any) -> Any:
        """What the column makes of one value: None where it is missing, a time as a datetime."""


class Arena:
    """One block of memory for the copies of many columns.

    Most of a copy's time would go into getting memory from the system and giving it back: the
    same copies in many small arrays take several times as long.
    """

    _ALIGN = 64

    def __init__(self, nbytes: int) -> None:
        # Coarse sizes, at most a quarter too large: the allocator keeps a freed block for the next
        # one of the same size, and a table that grows asks for a little more each time.
        step = 1 << max(nbytes.bit_length() - 3, 6)
        self._block = np.empty(-(-nbytes // step) * step, np.uint8)
        self._used = 0

    @classmethod
    def room(cls, array: npt.NDArray[Any]) -> int:
        """Bytes that a copy of ``array`` takes."""
        return -(-array.nbytes // cls._ALIGN) * cls._ALIGN

    def copy(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of ``array``, of one dimension, in the block."""
        start = self._used
        self._used += self.room(array)
        copy = self._block[start : start + array.nbytes].view(array.dtype)
        copy[:] = array
        return copy


class _Buffer:
    """A numpy array that doubles when it is full."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._data: npt.NDArray[Any] = np.empty(256, dtype)
        self._length = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def values(self) -> npt.NDArray[Any]:
        return self._data[: self._length]

    def extend(self, values: Sequence[Any]) -> None:
        end = self._length + len(values)
        if end > len(self._data):
            self._replace(max(end, 2 * len(self._data)), self.dtype)
        self._data[self._length : end] = values
        self._length = end

    def astype(self, dtype: npt.DTypeLike) -> None:
        self._replace(len(self._data), dtype)

    def _replace(self, capacity: int, dtype: npt.DTypeLike) -> None:
        data = np.empty(capacity, dtype)
        data[: self._length] = self._data[: self._length]
        self._data = data


class NumberColumn:
    """A numpy column (int64, float64, bool) with one value that stands for "missing"."""

    def __init__(
        self, dtype: npt.DTypeLike, convert: Callable[[Any], Any | None], missing: Any
    ) -> None:
        self._buffer = _Buffer(dtype)
        self._convert, self._missing = convert, missing

    def extend(self, values: Sequence[Any]) -> None:
        convert, missing = self._convert, self._missing
        self._buffer.extend([missing if (v := convert(x)) is None else v for x in values])

    @property
    def nbytes(self) -> int:
        return Arena.room(self._buffer.values)

    def array(self, arena: Arena) -> npt.NDArray[Any]:
        return arena.copy(self._buffer.values)

    def cell(self, value: Any) -> Any:
        converted = self._convert(value)
        return self._missing if converted is None else converted


class TimeColumn:
    """``datetime64[us, UTC]`` or ``timedelta64[us]``; ``convert`` gives microseconds or None."""

    def __init__(self, convert: Callable[[Any], int | None], *, duration: bool = False) -> None:
        self._numbers = NumberColumn(np.int64, convert, _NAT)
        self._duration = duration

    def extend(self, values: Sequence[Any]) -> None:
        self._numbers.extend(values)

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    def array(self, arena: Arena) -> Any:
        numbers = self._numbers.array(arena)
        if self._duration:
            return numbers.view("m8[us]")
        return pd.array(numbers, dtype=TIMESTAMP, copy=False)

    def cell(self, value: Any) -> timedelta | datetime | None:
        number = self._numbers.cell(value)
        if number == _NAT:
            return None
        passed = timedelta(microseconds=number)
        if self._duration:
            return passed
        try:
            return _EPOCH + passed
        except OverflowError:  # its offset hid that UTC has it before the year 1 or after 9999
            return None


class NullableColumn:
    """``Int64`` or ``boolean``: values and a mask of those missing."""

    def __init__(self, dtype: type[np.int64] | type[np.bool_]) -> None:
        self._convert: Callable[[Any], Any | None]
        self._type: Any
        if dtype is np.int64:
            self._convert, self._type = to_int64, pd.arrays.IntegerArray
        else:
            self._convert, self._type = to_bool, pd.arrays.BooleanArray
        self._values, self._missing = _Buffer(dtype), _Buffer(np.bool_)

    def extend(self, values: Sequence[Any]) -> None:
        converted = [self._convert(x) for x in values]
        self._values.extend([x or 0 for x in converted])
        self._missing.extend([x is None for x in converted])

    @property
    def nbytes(self) -> int:
        return Arena.room(self._values.values) + Arena.room(self._missing.values)

    def array(self, arena: Arena) -> Any:
        return self._type(arena.copy(self._values.values), arena.copy(self._missing.values))

    def cell(self, value: Any) -> Any:
        return self._convert(value)


class TextColumn:
    """Strings; anything else is missing."""

    #: So many chunks of about the same length become one: the number of chunks grows with the
    #: logarithm of the rows, and a row is moved as often.
    _MERGE = 8

    def __init__(self) -> None:
        self._chunks: list[Any] = []

    def extend(self, values: Sequence[Any]) -> None:
        try:
            chunk = pa.array(values, pa.large_string())
        except (pa.ArrowException, UnicodeEncodeError):
            texts = [_encodable(x) if isinstance(x, str) else None for x in values]
            chunk = pa.array(texts, pa.large_string())
        chunks, k = self._chunks, self._MERGE
        chunks.append(chunk)
        while len(chunks) >= k and len(chunks[-k]) <= 2 * len(chunks[-1]):
            chunks[-k:] = [pa.concat_arrays(chunks[-k:])]

    @property
    def nbytes(self) -> int:
        return 0

    def array(self, arena: Arena) -> Any:
        return pd.array(pa.chunked_array(self._chunks, pa.large_string()), dtype=TEXT)

    def cell(self, value: Any) -> str | None:
        return _encodable(value) if isinstance(value, str) else None


class CategoryColumn:
    """Strings that repeat. New ones become categories in the order they come."""

    def __init__(self, categories: Iterable[str] = ()) -> None:
        self._codes = _Buffer(np.int8)
        self._code_of: dict[str | None, int] = {None: -1}
        self._categories: list[str] = []
        self._dtype: pd.CategoricalDtype | None = None
        for text in categories:
            self._code(text)

    def extend(self, values: Sequence[Any]) -> None:
        code_of = self._code_of
        try:
            codes = [code_of[x] for x in values]
        except (KeyError, TypeError):  # a new string, or what is no string
            codes = [self._code(x if isinstance(x, str) else None) for x in values]
        needed = np.min_scalar_type(-1 - len(self._categories))
        if needed.itemsize > self._codes.dtype.itemsize:
            self._codes.astype(needed)
        self._codes.extend(codes)

    @property
    def nbytes(self) -> int:
        return Arena.room(self._codes.values)

    def array(self, arena: Arena) -> pd.Categorical:
        if self._dtype is None:
            self._dtype = pd.CategoricalDtype(pd.Index(self._categories, dtype=TEXT))
        codes = arena.copy(self._codes.values)
        return pd.Categorical.from_codes(codes, dtype=self._dtype, validate=False)

    def cell(self, value: Any) -> str | None:
        return _encodable(value) if isinstance(value, str) else None

    def _code(self, text: str | None) -> int:
        """The code of a string, which becomes a category where it is none yet."""
        if text not in self._code_of:
            assert text is not None  # None is there from the start
            category = _encodable(text)
            if category not in self._code_of:
                self._code_of[category] = len(self._categories)
                self._categories.append(category)
                self._dtype = None
            self._code_of[text] = self._code_of[category]
        return self._code_of[text]


class ObjectColumn:
    """Python objects as they are; None where ``accepts`` does not know the type."""

    def __init__(self, accepts: type = object) -> None:
        self._buffer = _Buffer(np.object_)
        self._accepts = accepts

    def extend(self, values: Sequence[Any]) -> None:
        cells = np.empty(len(values), np.object_)
        # One by one: numpy would take a list of lists for a matrix.
        for i, value in enumerate(values):
            cells[i] = value if isinstance(value, self._accepts) else None
        self._buffer.extend(cells)  # type: ignore[arg-type]

    @property
    def nbytes(self) -> int:
        return 0

    def array(self, arena: Arena) -> pd.Series:
        # The dtype is said, for pandas 3 makes strings of objects that all happen to be some.
        return pd.Series(self._buffer.values.copy(), dtype=object, copy=False)

    def cell(self, value: Any) -> Any:
        return value if isinstance(value, self._accepts) else None
