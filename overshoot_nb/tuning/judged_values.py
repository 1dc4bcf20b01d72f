"""What judges make of answers: their text, their numbers, their items; and searches of patterns."""

from __future__ import annotations

import importlib
import math
import re
import unicodedata
from collections.abc import Callable, Hashable
from decimal import Context, Decimal
from typing import Any

from overshoot_nb.errors import ValidationError

from .fields import comparable, shown

__all__ = [
    "DIGITS",
    "as_text",
    "both_items",
    "bounded_search",
    "is_number",
    "number_in",
    "numbers_in",
    "says",
]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: A number as JSON writes it: "007" and "+3" are text.
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,6})?")


def says(text: str, value: Any) -> bool:
    """Whether a text is nothing but a number or truth value."""
    text = text.strip()
    if isinstance(value, bool):
        return text.casefold() == str(value).casefold()
    if not is_number(value) or _JSON_NUMBER.fullmatch(text) is None:
        return False
    return Decimal(text) == number_in(value)


def bounded_search(flags: int | re.RegexFlag, timeout: float) -> Callable[[str, str], object]:
    if not is_number(timeout) or not 0 < timeout < math.inf:
        raise ValidationError(f"timeout={timeout!r} is not valid: it must be a number, x > 0")
    try:
        regex: Any = importlib.import_module("regex")
    except ImportError:
        raise ValidationError(
            "timeout= needs the regex package, for Python's own re knows no limit: "
            "pip install regex, or leave timeout out"
        ) from None
    # Its flags have the names of re's, and other values.
    own = 0
    for flag in re.RegexFlag(flags):
        own |= getattr(regex, str(flag.name))

    def search(pattern: str, text: str) -> object:
        try:
            return regex.search(pattern, text, own, timeout=timeout, concurrent=True)
        except TimeoutError:
            raise TimeoutError(
                f"the search takes longer than {timeout:g} s: does the pattern repeat what repeats?"
            ) from None

    return search


def as_text(value: Any, ignore_case: bool) -> str:
    text = "" if value is None else shown(value)
    if ignore_case:
        text = unicodedata.normalize("NFC", text.casefold())
    return text


#: Enough digits for any number that people write, and no exponent that is out of range.
DIGITS = Context(prec=60, Emin=-(10**9), Emax=10**9, traps=[])
#: A number that stands by itself: not a part of a word, a time or a version.
_NUMBER = re.compile(
    r"(?:(?<![\w.])[-+])?(?<![\w.])"
    r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,6})?"
    r"(?!\.?\d|[eE][-+]?\d)"
)


def number_in(value: Any) -> Decimal | None:
    """A number, or the only one in a text; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(str(value)) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    found = numbers_in(value)
    return found[0] if len(found) == 1 else None


def numbers_in(text: str) -> list[Decimal]:
    """The numbers that stand by themselves in a text."""
    found = _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))
    return [Decimal(number.replace(",", "")) for number in found]


def both_items(
    answer: Any, expected: Any, ignore_case: bool
) -> tuple[frozenset[Hashable], frozenset[Hashable]]:
    """The items of both sides, as keys that are the same for the same items."""

    def items(side: Any, other: Any) -> frozenset[Hashable]:
        parts = _listed(side)
        if parts is None:  # text without a separator
            listed = _listed(other) or ()
            alone = key(side) in {key(part) for part in listed}
            parts = [side] if alone else side.split()
        return frozenset(key(part) for part in parts)

    def key(part: Any) -> Hashable:
        if part is None or isinstance(part, str | int | float):
            return as_text(part, ignore_case).strip() if part is not None else None
        return comparable(part)

    return items(answer, expected), items(expected, answer)


def _listed(value: Any) -> list[Any] | None:
    """The items of a list, or of text that separates them; None of other text."""
    if value is None:
        return []
    if isinstance(value, str):
        parts = re.split(r"[,;\n]", value.strip())
        return [part for part in parts if part.strip()] if len(parts) > 1 else None
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
