"""Conditions: what events, alerts and selections of rows ask, as a text.

``out.people > 3 and not out.dark``

=================================  ==============================================================
``out.people``, ``result``         a column of the rows; ``people`` means ``out.people`` where no
                                   column has that name. Odd names: `` `v2 (2)` ``
``12``, ``0.5``, ``"text"``        a number, a text (either quotation mark)
``True False None``                ``x == None`` asks whether x is missing, as ``missing(x)`` does
``== !=``                          the same or not; missing is a value of its own: ``x == "GOAL"``
                                   is false where x is missing, and ``x != "GOAL"`` true
``< <= > >=``                      compare; also in chains: ``3 < out.people <= 9``. A text beside a
                                   time is read as one (ISO 8601): ``captured_at > "2026-01-31"``
``x in [1, 2]``                    whether ``x == 1`` or ``x == 2``; and ``not in``
``"a" in x``                       a part of a text (case matters), or an item of a list; and
                                   ``not in``
``and or not ( )``                 as everywhere
``+ - * /``                        of numbers; division by 0 is missing
``len(x)``                         characters of a text, items of a list
``lower(x)``                       a text in lower case
``contains(x, "text")``            whether a text has it somewhere, or a list as an item; case does
                                   not matter
``matches(x, "pattern")``          whether a pattern (RE2's: Python's without look-around and
                                   back-references) is found somewhere in a text
``abs(x)``, ``round(x)``           of numbers
``missing(x)``                     whether there is no value
=================================  ==============================================================

Numbers are those of 64 bits; a timedelta, such as ``media_time``, is its seconds. Whatever else
than ``==``, ``!=``, ``in [...]`` and ``missing`` is asked of something missing is neither true nor
false but unknown, and so is ``not`` of it; ``x or y`` is true where either is, whatever the other.

Whoever asks a condition of rows wants to know where it is true. Unknown is not: it ends an event
as false does, so ``out.clock > 10`` ends when the clock is off and its field null.

A condition is data. Nothing of Python can be reached from it, and no text of it takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .kinds import Kind, check_kinds, columns_of
from .parser import parse
from .tree import Arithmetic, Call, Combination, Comparison, Constant, ListOf, Name, Negation, Node
from .values import among, call, combine, compare

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from .columns_of_rows import Truths
    from .rows import RowEvaluation


class Condition:
    """A condition that was understood; of which rows it is asked comes later.

    Args:
        text: the condition.

    Raises:
        ValidationError: it is none; says what is wrong, and where.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._node = parse(text)

    def bind(self, rows: pd.DataFrame) -> BoundCondition:
        """The condition of the columns of these rows, and of others that have the same.

        Raises:
            ValidationError: it names a column that is not there, or compares what cannot be.
        """
        from .columns_of_rows import column_kind

        columns = columns_of(self._node, self.text, rows.columns)
        doubled = [column for column in columns.values() if rows[column].ndim > 1]
        if doubled:
            from .required_columns import require

            require(rows, "a condition", *doubled)
        kinds: dict[str, Kind] = {n: column_kind(rows[c]) for n, c in columns.items()}
        check_kinds(self._node, self.text, kinds)
        return BoundCondition(self._node, columns)

    def truths(self, rows: pd.DataFrame) -> Truths:
        """Of each row 2 (true), 1 (unknown) or 0 (false); int8 of shape (n,).

        Raises:
            ValidationError: as :meth:`bind`.
        """
        return self.bind(rows).truths(rows)

    def true_of(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether it is true of each row; unknown is not. Shape (n,).

        Raises:
            ValidationError: as :meth:`bind`.
        """
        true: NDArray[np.bool_] = self.truths(rows) == 2
        return true

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


class BoundCondition:
    """A condition of certain columns."""

    def __init__(self, node: Node, columns: dict[str, str]) -> None:
        self.node = node
        #: The column that each name means.
        self.columns = columns

    def truths(self, rows: pd.DataFrame) -> Truths:
        """Of each row 2 (true), 1 (unknown) or 0 (false); int8 of shape (n,)."""
        return self.evaluation(rows).truths(self.node)

    def evaluation(self, rows: pd.DataFrame) -> RowEvaluation:
        """What the condition and its parts are in these rows."""
        from .rows import RowEvaluation

        return RowEvaluation(rows, self.columns)

    def truth(self, value_of: Callable[[str], Any]) -> bool | None:
        """Whether it is true of one row, None where that is unknown.

        Args:
            value_of: gives the value in a column: None, a bool, float, str, datetime (in UTC),
                list or dict, as :func:`~overshoot_nb.conditions.values.plain` makes them.
        """
        return _truth(_value(self.node, lambda name: value_of(self.columns[name])))


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _value(node: Node, value_of: Callable[[str], Any]) -> Any:
    """What a part of a condition is in one row."""
    match node:
        case Constant():
            return node.value
        case Name():
            return value_of(node.name)
        case Negation():
            truth = _truth(_value(node.children[0], value_of))
            return None if truth is None else not truth
        case Combination():
            decides = node.operator == "or"
            unknown = False
            for child in node.children:
                truth = _truth(_value(child, value_of))
                if truth is decides:
                    return decides
                unknown |= truth is None
            return None if unknown else not decides
        case Comparison():
            left, right = node.children
            return _compared(node.operator, _value(left, value_of), right, value_of)
        case Arithmetic():
            one, two = node.children
            return combine(node.operator, _value(one, value_of), _value(two, value_of))
        case Call():
            return call(node.function, *(_value(child, value_of) for child in node.children))
    raise AssertionError(f"{node} is no value of its own")


def _compared(sign: str, left: Any, right: Node, value_of: Callable[[str], Any]) -> bool | None:
    if not isinstance(right, ListOf):
        return compare(sign, left, _value(right, value_of))
    return among(left, (item.value for item in right.children)) == (sign == "in")
