"""Patterns that others wrote, matched with a limit of time.

``re`` keeps the interpreter's lock while it matches, and some patterns take for ever: one request
could stop the whole process. ``regex`` lets other threads run meanwhile, and gives up in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .refusals import Invalid, Unsupported

#: Seconds of computing that all patterns of one question may take together.
MAX_SECONDS = 0.5
#: Characters of one pattern.
MAX_CHARACTERS = 2_000

#: What the patterns of this question have taken until now; of each call alone where none is set.
_spent: ContextVar[list[float] | None] = ContextVar("pattern_seconds", default=None)


@contextmanager
def one_question() -> Iterator[None]:
    """All that is matched within shares `MAX_SECONDS`."""
    before = _spent.set([0.0])
    try:
        yield
    finally:
        _spent.reset(before)


def compiled(pattern: str) -> Any:
    """The pattern, ready to be matched.

    Raises:
        Invalid: it is no regular expression.
        Unsupported: it is too long.
    """
    import regex  # type: ignore[import-untyped]

    if len(pattern) > MAX_CHARACTERS:
        raise Unsupported(
            f"a pattern of the JSON schema has {len(pattern)} characters, more than "
            f"{MAX_CHARACTERS}"
        )
    try:
        # It keeps what it compiled lately.
        return regex.compile(pattern)
    except (regex.error, ArithmeticError, ValueError, RecursionError) as error:
        raise Invalid(f"the JSON schema's pattern {pattern!r} is not valid: {error}") from None


def matches(pattern: str, text: str, *, whole: bool = False) -> bool:
    """Whether a pattern is found in a text, or is the ``whole`` of it.

    Raises:
        Invalid, Unsupported: see `compiled`; or matching takes too long.
    """
    ready = compiled(pattern)
    match = ready.fullmatch if whole else ready.search
    spent = _spent.get() or [0.0]
    # Of this thread: on a busy machine it waits more than it works.
    began = time.thread_time()
    try:
        if spent[0] >= MAX_SECONDS:
            raise TimeoutError
        return match(text, timeout=MAX_SECONDS - spent[0]) is not None
    except (TimeoutError, MemoryError):
        raise Unsupported(
            f"matching the JSON schema's patterns takes longer than {MAX_SECONDS:g} s (at "
            f"{_short(pattern)}); write them without repetitions inside repetitions",
            pattern=pattern,
        ) from None
    finally:
        spent[0] += time.thread_time() - began


def _short(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 80 else pattern[:79] + "…")
