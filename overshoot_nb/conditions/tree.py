"""What a condition says, as a small tree; and the errors that point into its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from overshoot_nb.errors import ValidationError

ComparisonOperator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
ArithmeticOperator = Literal["+", "-", "*", "/"]

#: Characters of the text that an error shows on either side of what is wrong.
_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class Constant:
    """A number (always a float), a text, True, False or None."""

    value: float | str | bool | None
    position: int = field(default=0, compare=False)
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Name:
    """A column, as it is written."""

    name: str
    position: int = field(default=0, compare=False)
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class ListOf:
    """Constants in brackets; stands on the right of ``in`` alone."""

    children: tuple[Constant, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """``not x``."""

    children: tuple[Node]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Combination:
    """``x and y and z``, or the same with ``or``."""

    operator: Literal["and", "or"]
    children: tuple[Node, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``x < y``; a chain (``x < y < z``) is a combination of these."""

    operator: ComparisonOperator
    children: tuple[Node, Node]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``x + y``; ``-x`` is ``0 - x``."""

    operator: ArithmeticOperator
    children: tuple[Node, Node]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One of our functions; what they are is said in ``condition_values``."""

    function: str
    children: tuple[Node, ...]
    position: int = field(default=0, compare=False)


Node = Constant | Name | ListOf | Negation | Combination | Comparison | Arithmetic | Call


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def condition_error(text: str, position: int, problem: str) -> ValidationError:
    """An error that shows where in a condition's text the problem is."""
    begin, end = max(position - _EXCERPT, 0), position + _EXCERPT
    # Tabs and newlines would move what follows them away from the caret.
    line = "".join(c if c.isprintable() else " " for c in text[begin:end])
    before, after = "…" if begin else "", "…" if end < len(text) else ""
    caret = " " * (len(before) + position - begin) + "^"
    return ValidationError(f"in the condition: {problem}\n    {before}{line}{after}\n    {caret}")
