"""What lower rooms must open and must not know: functions by name, registered by the face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_found_by: dict[str, Callable[[], Any]] = {}


def register(openers: Mapping[str, Callable[[], Any]]) -> None:
    """Make openers known.

    Args:
        openers: by name, functions that import the opener and return it. None is called before
            somebody needs it.
    """
    _found_by.update(openers)


def opener(name: str) -> Callable[..., Any]:
    """The opener of that name.

    Raises:
        LookupError: nobody registered one.
    """
    found: Callable[..., Any] = _found_by[name]()
    return found
