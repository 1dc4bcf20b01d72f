"""Whether a condition makes sense of certain columns: their names, and what may meet what.

A mistake that no row could make right, such as a number compared with a text, is an error at once
rather than a condition that is never true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from overshoot_nb.errors import ValidationError

from .names import not_there, resolve
from .tree import (
    Arithmetic,
    Call,
    Combination,
    Comparison,
    Constant,
    ListOf,
    Name,
    Negation,
    Node,
    condition_error,
    walk,
)
from .values import parse_time

#: What a column holds; "any" where cells differ, or are lists and objects.
Kind = Literal["number", "truth", "text", "time", "any"]

_CALLED: dict[Kind, str] = {
    "number": "a number",
    "truth": "true or false",
    "text": "a text",
    "time": "a time",
    "any": "anything",
}
_RESULTS: dict[str, Kind] = {
    "len": "number",
    "lower": "text",
    "contains": "truth",
    "matches": "truth",
    "abs": "number",
    "round": "number",
    "missing": "truth",
}


def columns_of(node: Node, text: str, columns: Iterable[object]) -> dict[str, str]:
    """The column that each name of a condition means.

    Raises:
        ValidationError: a name means none; says which it may have been meant to be.
    """
    known = dict.fromkeys(columns)
    found: dict[str, str] = {}
    for name in walk(node):
        if isinstance(name, Name):
            column = resolve(name.name, known)
            if column is None:
                raise condition_error(text, name.position, not_there(name.name, known))
            found[name.name] = column
    return found


def check_kinds(node: Node, text: str, kinds: Mapping[str, Kind]) -> None:
    """Check a whole condition; ``kinds`` has what each of its names holds.

    Raises:
        ValidationError: something in it can never be said; points at it.
    """
    _Check(text, kinds).truth(node)


class _Check:
    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self._text = text
        self._kinds = kinds

    def truth(self, node: Node) -> None:
        """A part that must be true or false."""
        if isinstance(node, Constant) and node.value is None:
            raise self._wrong(
                node, "None is neither true nor false; x == None asks what is missing"
            )
        kind = self.kind(node)
        if kind not in ("truth", "any"):
            raise self._wrong(
                node,
                f"this is {_CALLED[kind]}, and not true or false: compare it "
                f"({'x > 0' if kind == 'number' else 'x == ...'})",
            )

    def kind(self, node: Node) -> Kind:
        match node:
            case Constant():
                return self._constant(node)
            case Name():
                return self._kinds[node.name]
            case Negation() | Combination():
                for child in node.children:
                    self.truth(child)
                return "truth"
            case Comparison():
                self._comparison(node)
                return "truth"
            case Arithmetic():
                for child in node.children:
                    self._one_of(child, ("number",), f"{node.operator!r} computes with numbers")
                return "number"
            case Call():
                return self._call(node)
            case ListOf():
                raise self._wrong(node, "a list of constants can stand after 'in' alone")

    def _constant(self, node: Constant) -> Kind:
        if node.value is None:
            raise self._wrong(node, "None can stand beside == and != alone, and in a list")
        if isinstance(node.value, bool):
            return "truth"
        return "number" if isinstance(node.value, float) else "text"

    def _call(self, node: Call) -> Kind:
        first, *others = node.children
        match node.function:
            case "missing":
                self.kind(first)
            case "abs" | "round":
                self._one_of(first, ("number",), f"{node.function}() takes a number")
            case "len":
                self._one_of(first, ("text",), "len() takes a text, a list or an object")
            case _:
                self._one_of(first, ("text",), f"{node.function}() takes a text")
                for other in others:
                    self._one_of(other, ("text",), f"{node.function}() looks for a text")
        return _RESULTS[node.function]

    def _comparison(self, node: Comparison) -> None:
        left, right = node.children
        if isinstance(right, ListOf):
            self.kind(left)
            for item in right.children:
                if item.value is not None:
                    self._alike(left, item, node)
        elif node.operator in ("in", "not in"):
            if self._one_of(right, ("text",), "'in' looks into a text or a list") == "text":
                self._one_of(left, ("text",), "only a text can be in a text")
            self.kind(left)
        else:
            kind = self._alike(left, right, node)
            if kind == "truth" and node.operator not in ("==", "!="):
                raise self._wrong(node, f"{node.operator!r} orders numbers, texts and times alone")

    def _alike(self, left: Node, right: Node, node: Comparison) -> Kind:
        """Check that two sides can be compared; what they are."""
        kinds = self.kind(left), self.kind(right)
        if "any" in kinds:
            return "any"
        if kinds[0] == kinds[1]:
            return kinds[0]
        if set(kinds) == {"time", "text"}:
            words = left if kinds[0] == "text" else right
            if isinstance(words, Constant) and parse_time(str(words.value)) is None:
                raise self._wrong(
                    words, "this is no time: write it as 2026-01-31T12:00:00Z (UTC without offset)"
                )
            return "time"
        raise self._wrong(
            node,
            f"{_CALLED[kinds[0]]} on the left and {_CALLED[kinds[1]]} on the right cannot be "
            "compared",
        )

    def _one_of(self, node: Node, allowed: tuple[Kind, ...], rule: str) -> Kind:
        kind = self.kind(node)
        if kind not in (*allowed, "any"):
            raise self._wrong(node, f"{rule}, and this is {_CALLED[kind]}")
        return kind

    def _wrong(self, node: Node, problem: str) -> ValidationError:
        return condition_error(self._text, node.position, problem)
