"""Which number of a condition has a peak: what is compared, and whether upwards or downwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from overshoot_nb.conditions.tree import Combination, Comparison, Name, Negation, Node, walk

_UPWARDS = {">": True, ">=": True, "<": False, "<=": False}


@dataclass(frozen=True, slots=True)
class Peak:
    """A number that a condition compares with one that is the same for all rows.

    Attributes:
        node: the number.
        largest: whether the condition asks for large ones.
    """

    node: Node
    largest: bool


def peak_of(node: Node) -> Peak | None:
    """The one number that a condition compares in one direction; None where there are several."""
    found = set(_peaks(node, upright=True))
    return found.pop() if len(found) == 1 else None


def _peaks(node: Node, *, upright: bool) -> Iterator[Peak]:
    match node:
        case Negation():
            yield from _peaks(node.children[0], upright=not upright)
        case Combination():
            for child in node.children:
                yield from _peaks(child, upright=upright)
        case Comparison() if node.operator in _UPWARDS:
            left, right = node.children
            upwards = _UPWARDS[node.operator] is upright
            if _varies(left) and not _varies(right):
                yield Peak(left, upwards)
            elif _varies(right) and not _varies(left):
                yield Peak(right, not upwards)


def _varies(node: Node) -> bool:
    return any(isinstance(part, Name) for part in walk(node))
