"""Conditions of whole columns at once: the truth of every row of a DataFrame.

What numpy can do to a column it does; all else is asked of :mod:`condition_values`, for each
distinct value where that is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .columns_of_rows import (
    EPOCH,
    FALSE,
    NAT,
    TRUE,
    UNKNOWN,
    Coded,
    CodedTexts,
    Column,
    Known,
    Numbers,
    Times,
    Truths,
    Value,
    cells_of,
    column_of,
    read_column,
)
from .tree import Arithmetic, Call, Combination, Comparison, Constant, ListOf, Name, Negation, Node
from .values import among, call, combine, compare, containing, parse_time, search_texts

_NUMPY_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_NUMPY_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


class RowEvaluation:
    """What a checked condition and its parts are in the rows of a DataFrame.

    Args:
        rows: the rows, which do not change meanwhile.
        columns: the column that each name means.
    """

    def __init__(self, rows: pd.DataFrame, columns: dict[str, str]) -> None:
        self._rows = rows
        self._columns = columns
        self._read: dict[str, Value] = {}
        self._known: dict[int, Value] = {}  # by id: as nodes, 1 and True would be the same

    def truths(self, node: Node) -> Truths:
        """Whether it is true of each row; what is neither true nor false is unknown. Shape (n,)."""
        return self._truths(self._value(node))

    def numbers(self, node: Node) -> NDArray[np.float64]:
        """The number that it is in each row, NaN where it is none; shape (n,)."""
        value = self._value(node)
        if isinstance(value, Numbers):
            return value.values
        if isinstance(value, Coded) and any(isinstance(one, float) for one in value.values):
            distinct = [one if isinstance(one, float) else np.nan for one in value.values]
            return np.array([*distinct, np.nan])[value.codes]
        return np.full(len(self._rows), np.nan)

    def _value(self, node: Node) -> Value:
        if id(node) not in self._known:
            with np.errstate(all="ignore"):
                self._known[id(node)] = self._evaluated(node)
        return self._known[id(node)]

    def _evaluated(self, node: Node) -> Value:
        match node:
            case Constant():
                return node
            case Name():
                column = self._columns[node.name]
                if column not in self._read:
                    self._read[column] = read_column(self._rows[column])
                return self._read[column]
            case Negation():
                return Known((TRUE - self._below(node)[0]).astype(np.int8))
            case Combination():
                choose = np.minimum if node.operator == "and" else np.maximum
                return Known(choose.reduce(self._below(node)))
            case Comparison():
                return self._compared(node)
            case Arithmetic():
                return self._computed(node)
            case Call():
                return self._called(node)
        raise AssertionError(f"{node} is no value of its own")

    def _truths(self, value: Value) -> Truths:
        if isinstance(value, Known):
            return value.truths
        if isinstance(value, Constant) and isinstance(value.value, bool):
            return np.full(len(self._rows), TRUE if value.value else FALSE, np.int8)
        cells = cells_of(value, len(self._rows))
        known = column_of([cell if isinstance(cell, bool) else None for cell in cells])
        return cast(Known, known).truths

    def _below(self, node: Node) -> list[Truths]:
        return [self.truths(child) for child in node.children]

    def _compared(self, node: Comparison) -> Column:
        left, right, sign = self._value(node.children[0]), node.children[1], node.operator
        if isinstance(right, ListOf):
            return self._among(left, right, negative=sign == "not in")
        return self._compared_values(sign, left, self._value(right))

    def _compared_values(self, sign: str, left: Value, right: Value) -> Column:
        if sign in _NUMPY_ORDER:
            if _are_numbers(left, right):
                one, two = _number_array(left), _number_array(right)
                return _ordered(sign, one, two, np.isnan(one), np.isnan(two))
            ticks = _ticks(left, right), _ticks(right, left)
            if ticks[0] is not None and ticks[1] is not None:
                return _ordered(sign, *ticks, ticks[0] == NAT, ticks[1] == NAT)
        if sign in ("==", "!="):
            if _are_truths(left, right):
                same = self._truths(left) == self._truths(right)
                return _known(same == (sign == "=="), np.False_)
            if isinstance(left, CodedTexts) and (text := _text(right)) is not None:
                return left.known(left.texts.equal(text) == (sign == "=="), sign == "!=")
        looks_into = right if sign in ("in", "not in") else None
        if isinstance(looks_into, CodedTexts) and (text := _text(left)) is not None:
            return looks_into.known(looks_into.texts.have(text) == (sign == "in"), None)
        return self._each(lambda x, y: compare(sign, x, y), left, right)

    def _among(self, value: Value, items: ListOf, *, negative: bool) -> Column:
        constants = [item.value for item in items.children]
        if isinstance(value, Numbers):
            found = np.isin(value.values, [x for x in constants if isinstance(x, float)])
        elif isinstance(value, Times):
            found = np.zeros(len(self._rows), np.bool_)
            for item in items.children:
                if item.value is not None:
                    found |= self._truths(self._compared_values("==", value, item)) == TRUE
        elif isinstance(value, CodedTexts):
            found = value.texts.among([x for x in constants if isinstance(x, str)])
            return value.known(found != negative, (None in constants) != negative)
        else:
            return self._each(lambda cell: among(cell, constants) != negative, value)
        if None in constants:
            found |= self._missing(value)
        return _known(found != negative, np.False_)

    def _computed(self, node: Arithmetic) -> Column:
        left, right = map(self._value, node.children)
        if not _are_numbers(left, right):
            return self._each(lambda x, y: combine(node.operator, x, y), left, right)
        one, two = _number_array(left), _number_array(right)
        values = _NUMPY_ARITHMETIC[node.operator](one, two)
        if node.operator == "/":
            values = np.where(two == 0, np.nan, values)
        return Numbers(np.broadcast_to(values, len(self._rows)))

    def _called(self, node: Call) -> Column:
        first, *others = [self._value(child) for child in node.children]
        function = node.function
        if isinstance(first, Numbers) and function in ("abs", "round"):
            return Numbers(np.abs(first.values) if function == "abs" else np.rint(first.values))
        if function == "missing":
            return _known(self._missing(first), np.False_)
        if isinstance(first, CodedTexts):
            if function == "len":
                return Numbers(np.append(first.texts.lengths(), np.nan)[first.codes])
            if function == "lower":
                lower = first.texts.lower()
                return CodedTexts(first.codes, lower.values, lower)
            if others and (text := _text(others[0])) is not None:
                ask = first.texts.contain if function == "contains" else first.texts.match
                return first.known(ask(text), None)
        if function == "matches" and isinstance(first, Coded):
            texts = [value if isinstance(value, str) else "" for value in first.values]
            pattern = cast(str, cast(Constant, others[0]).value)
            found: list[Any] = search_texts(texts, pattern).tolist()
            for place, value in enumerate(first.values):
                if not isinstance(value, str):
                    found[place] = None
            return column_of([*found, None], first.codes)
        if function == "contains" and isinstance(others[0], Constant):
            contains = containing(others[0].value)
            return self._each(contains, first)
        return self._each(lambda *arguments: call(function, *arguments), first, *others)

    def _missing(self, value: Value) -> NDArray[np.bool_]:
        match value:
            case Numbers():
                missing: NDArray[np.bool_] = np.isnan(value.values)
            case Times():
                missing = value.ticks == NAT
            case Known():
                missing = value.truths == UNKNOWN
            case Coded():
                missing = value.codes < 0
            case _:
                missing = np.zeros(len(self._rows), np.bool_)
        return missing

    def _each(self, function: Callable[..., Any], *values: Value) -> Column:
        """A function of single values: of each distinct one where that is enough, else by row."""
        coded = [value for value in values if isinstance(value, Coded)]
        constants = [value for value in values if isinstance(value, Constant)]
        if len(coded) == 1 and len(coded) + len(constants) == len(values):
            column = coded[0]
            distinct = [*column.values, None]  # code -1
            sides = [
                distinct if side is column else cells_of(side, len(distinct)) for side in values
            ]
            return column_of([function(*cells) for cells in zip(*sides, strict=True)], column.codes)
        if len(constants) == len(values):
            fixed = function(*(constant.value for constant in constants))
            return column_of([fixed], np.zeros(len(self._rows), np.intp))
        sides = [cells_of(side, len(self._rows)) for side in values]
        return column_of([function(*cells) for cells in zip(*sides, strict=True)])


def _ordered(sign: str, one: Any, two: Any, missing_one: Any, missing_two: Any) -> Known:
    """A comparison of numbers, or of times as numbers; where one is missing as `compare` has it."""
    either = missing_one | missing_two
    true = _NUMPY_ORDER[sign](one, two)
    if sign in ("==", "!="):
        return _known(np.where(either, (missing_one == missing_two) == (sign == "=="), true), False)
    return _known(true, either)


def _known(true: Any, unknown: Any) -> Known:
    return Known(np.where(unknown, UNKNOWN, np.where(true, TRUE, FALSE)).astype(np.int8))


def _are_numbers(*values: Value) -> bool:
    """Whether all are numbers, and not all of them constant."""
    if not any(isinstance(value, Numbers) for value in values):
        return False
    return all(isinstance(v, Numbers) or _number_constant(v) for v in values)


def _number_constant(value: Value) -> bool:
    return isinstance(value, Constant) and isinstance(value.value, float)


def _are_truths(*values: Value) -> bool:
    return all(isinstance(v, Known) or isinstance(_constant(v), bool) for v in values)


def _text(value: Value) -> str | None:
    text = _constant(value)
    return text if isinstance(text, str) else None


def _constant(value: Value) -> Any:
    return value.value if isinstance(value, Constant) else None


def _number_array(value: Value) -> Any:
    return value.values if isinstance(value, Numbers) else cast(Constant, value).value


def _ticks(value: Value, other: Value) -> Any:
    """A side of a comparison of times, as microseconds; None where it is no such side."""
    if isinstance(value, Times):
        return value.ticks
    if not isinstance(other, Times) or not isinstance(value, Constant):
        return None
    moment = parse_time(value.value) if isinstance(value.value, str) else None
    return None if moment is None else np.int64((moment - EPOCH) // timedelta(microseconds=1))
