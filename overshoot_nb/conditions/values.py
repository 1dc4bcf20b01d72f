"""What conditions compute with: single values, their comparisons and functions.

The one place that says what an operator means. Of rows, the evaluator uses these very functions
wherever it cannot do the same to a whole column at once.

A value is None (missing, and so are NaN, NaT and NA), a bool, a float (every number is one of 64
bits), a str, a datetime in UTC, a list or a dict. A timedelta is its number of seconds. What
cannot be said, such as whether a text is less than a number, is unknown: None. Whether two are the
same can always be said: missing is a value of its own there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The functions and the names of what they take.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "len": ("x",),
    "lower": ("x",),
    "contains": ("x", "text"),
    "matches": ("x", "pattern"),
    "abs": ("x",),
    "round": ("x",),
    "missing": ("x",),
}

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUALITY = ("==", "!=")
#: What Python itself finds equal where we do: 3 and 3.0, but True among neither, and no NaN.
_QUICK = frozenset((str, int))
#: Kinds of which any two can be compared as Python does it.
_SIMPLE = frozenset((float, str, bool))


# ---- values ------------------------------------------------------------------------------------


def plain(cell: Any) -> Any:
    """The value of a cell."""
    kind = type(cell)
    if kind is str or kind is list or kind is bool or kind is dict or cell is None:
        return cell  # as nearly all are
    if isinstance(cell, str):
        return str(cell)
    if isinstance(cell, float):
        return None if math.isnan(cell) else float(cell)
    if isinstance(cell, int | np.number | Decimal) and not isinstance(cell, np.timedelta64):
        return _number(cell)
    if isinstance(cell, np.bool_):
        return bool(cell)
    if isinstance(cell, datetime | timedelta):
        return _moment(cell)
    if isinstance(cell, np.datetime64 | np.timedelta64):
        # pandas' own NaT never comes here, for it is a datetime.
        return None if np.isnat(cell) else _moment(cell.astype(f"{cell.dtype.kind}8[us]").item())
    if isinstance(cell, list | dict):
        return cell
    if isinstance(cell, tuple | np.ndarray):
        return list(cell)
    if isinstance(cell, Mapping):
        return dict(cell)
    return None if type(cell).__name__ == "NAType" else cell


def _number(cell: Any) -> float | None:
    try:
        number = float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf
    except (TypeError, ValueError):  # a complex number; a Decimal that signals
        return None
    return None if math.isnan(number) else number


def _moment(cell: datetime | timedelta) -> datetime | float | None:
    if cell != cell:  # NaT is both, and not itself
        return None
    if isinstance(cell, timedelta):
        # As a column's whole microseconds become seconds.
        return (cell // timedelta(microseconds=1)) / 1e6
    try:
        return cell.replace(tzinfo=UTC) if cell.tzinfo is None else cell.astimezone(UTC)
    except OverflowError:  # before the year 1 or after 9999 in UTC
        return None


def parse_time(text: str) -> datetime | None:
    """A time in ISO 8601 (UTC without an offset, midnight without a time), None for other text."""
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def key(value: Any) -> Hashable:
    """What is the same for cells that are equal: NaN is NaN, 3 is 3.0, True is no number."""
    try:
        return _key(plain(value))
    except RecursionError:
        return ("other", id(value))


def _key(value: Any) -> Hashable:
    kind = type(value)
    if kind is str or kind is float or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return ("truth", value)
    if kind is list and _QUICK.issuperset(map(type, value)):
        return ("list", tuple(value))
    if isinstance(value, list):
        return ("list", tuple([_key(plain(item)) for item in value]))
    if isinstance(value, dict):
        return ("dict", frozenset([(name, _key(plain(item))) for name, item in value.items()]))
    return value if isinstance(value, datetime) else ("other", repr(value))


# ---- operators ---------------------------------------------------------------------------------


def compare(sign: str, left: Any, right: Any) -> bool | None:
    """``left < right`` and its like; None where it is unknown.

    Things of different kinds are not equal, and neither is less. Missing equals missing alone, and
    is neither less nor in anything. A text beside a time is read as one.
    """
    if left is None or right is None:
        return (left is right) == (sign == "==") if sign in _EQUALITY else None
    if sign == "in" or sign == "not in":
        found = _within(left, right)
        return None if found is None else found == (sign == "in")
    kind = type(left)
    if kind is type(right) and kind in _SIMPLE:
        return _SIGNS[sign](left, right) if kind is not bool or sign in _EQUALITY else None
    # A text that is no time stays one: it differs from every time, and is not missing.
    if isinstance(left, datetime) and isinstance(right, str):
        right = parse_time(right) or right
    elif isinstance(right, datetime) and isinstance(left, str):
        left = parse_time(left) or left
    if sign in _EQUALITY:
        return (key(left) == key(right)) == (sign == "==")
    if isinstance(left, datetime) and isinstance(right, datetime):
        return _SIGNS[sign](left, right)
    return None


def among(value: Any, items: Iterable[Any]) -> bool:
    """Whether a value is the same as one of some others."""
    return any(compare("==", value, item) is True for item in items)


def _within(item: Any, container: Any) -> bool | None:
    """Whether it is a part of a text, an item of a list, or a name in an object."""
    if isinstance(container, str):
        return item in container if isinstance(item, str) else None
    if isinstance(container, list):
        return among(item, map(plain, container))
    if isinstance(container, dict):
        return item in container if isinstance(item, str) else None
    return None


def combine(sign: str, left: Any, right: Any) -> float | None:
    """``left + right`` and its like of numbers; None of anything else, and for division by 0."""
    if not isinstance(left, float) or not isinstance(right, float):
        return None
    match sign:
        case "+":
            number = left + right
        case "-":
            number = left - right
        case "*":
            number = left * right
        case _:
            if right == 0:
                return None
            number = left / right
    return None if math.isnan(number) else number


# ---- functions ---------------------------------------------------------------------------------


def call(function: str, *arguments: Any) -> Any:
    """One of :data:`FUNCTIONS`; None of a missing argument, or of one that it does not know."""
    if function == "missing":
        return arguments[0] is None
    for argument in arguments:
        if argument is None:
            return None
    value = arguments[0]
    match function:
        case "len" if isinstance(value, str | list | dict):
            return float(len(value))
        case "lower" if isinstance(value, str):
            return value.lower()
        case "contains":
            return containing(arguments[1])(value)
        case "matches" if isinstance(value, str):
            return _matches(value, arguments[1])
        case "abs" if isinstance(value, float):
            return abs(value)
        case "round" if isinstance(value, float):
            return float(np.rint(value))
    return None


def containing(text: Any) -> Callable[[Any], bool | None]:
    """A function that says whether a value contains a text; case does not matter."""
    if not isinstance(text, str):
        return lambda value: None
    folded = text.casefold()

    def contains(value: Any) -> bool | None:
        if isinstance(value, str):
            return folded in value.casefold()
        if isinstance(value, list):
            return any(isinstance(item, str) and item.casefold() == folded for item in value)
        return None

    return contains


def _matches(text: str, pattern: str) -> bool:
    # RE2 takes time in proportion to the text, whatever the pattern; `re` may take hours, during
    # which no other thread runs. Every text ends up here one by one or as a whole column.
    return bool(search_texts([text], pattern)[0])


def search_texts(texts: Any, pattern: str) -> NDArray[np.bool_]:
    """Whether the pattern is found in each text, of a list or an Arrow array; shape (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(texts, list):
        try:
            texts = pa.array(texts, pa.large_string())
        except UnicodeEncodeError:
            clean = [text.encode("utf-8", "replace").decode() for text in texts]
            texts = pa.array(clean, pa.large_string())
    found: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(
        zero_copy_only=False
    )
    return found


def pattern_problem(pattern: str) -> str | None:
    """Why a pattern cannot be searched, in words; None where it can."""
    import pyarrow as pa

    try:
        search_texts([""], pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        return f"{reason} (look-around and back-references, (?=x) and \\1, are not known)"
    return None
