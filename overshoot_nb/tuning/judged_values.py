"""What judges make of answers: their text, their numbers, their items; and searches of patterns."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Hashable
from decimal import Context, Decimal
from typing import Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import comparable, shown


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Characters that stand for a plain one: hyphens, dashes and minus signs (not the long dash of a
#: sentence), and the full-width forms of what numbers are written with.
_PLAIN = {
    **{ord(sign): "-" for sign in "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"},
    ord("\uff0b"): "+",
    ord("\uff0c"): ",",
    ord("\uff0e"): ".",
}
#: Spaces at which no line breaks, or that are thin: they may stand between the groups of a number.
_GROUP_SPACES = "\u00a0\u2007\u2009\u202f"
_GROUPS = re.compile(
    rf"(?<![\w.,{_GROUP_SPACES}])[0-9]{{1,3}}(?:[{_GROUP_SPACES}][0-9]{{3}})+"
    rf"(?![\w,]|[{_GROUP_SPACES}][0-9])"
)
_SPACES = re.compile(r"[^\S\x00-\x7f]")


def plain(value: Any) -> Any:
    """Text as a keyboard types it: digits, minus signs and spaces; in lists and dicts, too.

    Texts that look the same are then the same, whichever sign a model took. Spaces within a number
    are kept: "1 200" is not the text "1200".
    """
    if isinstance(value, str):
        return value if value.isascii() else _SPACES.sub(" ", _signs(value))
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def _signs(text: str) -> str:
    """Digits and signs as ASCII has them."""
    if text.isascii():
        return text
    return "".join(
        sign if sign.isascii() or (digit := unicodedata.decimal(sign, None)) is None else str(digit)
        for sign in text.translate(_PLAIN)
    )


def _ungrouped(text: str) -> str:
    """The same with the groups of each number together: "1 200" with a no-break space is 1200."""
    return _GROUPS.sub(lambda number: _SPACES.sub("", number.group()), _signs(text))


#: A number as JSON writes it: "007" and "+3" are text.
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,6})?")


def says(text: str, value: Any) -> bool:
    """Whether a text is nothing but a number or truth value."""
    text = _ungrouped(text.strip())
    if isinstance(value, bool):
        return text.casefold() == str(value).casefold()
    if not is_number(value) or _JSON_NUMBER.fullmatch(text) is None:
        return False
    return Decimal(text) == number_in(value)


def bounded_search(flags: int | re.RegexFlag, timeout: float) -> Callable[[str, str], object]:
    if not is_number(timeout) or not 0 < timeout < math.inf:
        raise ValidationError(f"timeout={timeout!r} is not valid: it must be a number, x > 0")
    try:
        import regex  # type: ignore[import-untyped]
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
    text = "" if value is None else shown(plain(value))
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
    found = _NUMBER.findall(_ungrouped(text))
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
