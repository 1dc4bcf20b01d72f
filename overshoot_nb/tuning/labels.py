"""``Labels``: what the answers should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["MISSING", "Labels"]


class _Missing:
    """The type of :data:`MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


#: Nothing was given, where None is a value.
MISSING: Final = _Missing()


class Labels:
    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
