"""When an answer counts as right: judges for ``stream.score``, ``stream.flips`` and ``compare``.

A judge is a function ``judge(answer, expected) -> bool``. Those of this module that take
parameters make one: ``stream.score(judges.number_within(relative=0.1))``, and by field
``stream.score({"people": judges.number_within(1), "text": "contains"})``.

==================  =====================================================  ======================
name                right where                                            forgiven
==================  =====================================================  ======================
``exact``           both say the same                                      Unicode form, whitespace
                                                                           around, 3 for 3.0 or "3",
                                                                           kinds of spaces, dashes
``contains``        the expected text is in the answer                     case
``regex``           the expected pattern is found in the answer
``number_within``   the numbers are near each other                        words around a number
``set_overlap``     the words or list items are the same                   order, case, repetitions
==================  =====================================================  ======================

Of an answer that could not be used (cut off, not as its schema says) no judge is asked: it is
wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import ANSWER, comparable, field_name, shown

from .judged_values import (
    DIGITS,
    as_text,
    both_items,
    bounded_search,
    is_number,
    number_in,
    numbers_in,
    plain,
    says,
)

Judge = Callable[[Any, Any], bool]
#: A judge, the name of one, or a dict of these by field (None, or "answer", for an answer without
#: fields); None is "exact". Fields that a dict leaves out are judged by "exact".
Judges = Judge | str | Mapping[str | None, Judge | str] | None


# ---- the judges --------------------------------------------------------------------------------


def exact(answer: Any, expected: Any) -> bool:
    """Whether both say the same.

    Of text neither Unicode's form (NFC) nor whitespace around it matters. 3 is 3.0, and True is
    not 1. A text that is nothing but a number says that number, and "true" or "False" the truth
    value: ``stream.label(12, 3)`` is right about the free text "3", and wrong about "3 people" and
    "007". Only text that stands alone is read so, none within lists. The order of a list matters.

    No-break and thin spaces are spaces, hyphens, en dashes and minus signs are one sign, and digits
    are the same in any script (full width). "1 200" with a no-break space says 1200; "1,200", which
    is 1.2 elsewhere, is text.
    """
    if isinstance(answer, str) and not isinstance(expected, str):
        return says(answer, expected)
    if isinstance(expected, str) and not isinstance(answer, str):
        return says(expected, answer)
    return comparable(plain(answer)) == comparable(plain(expected))


def contains(*, ignore_case: bool = True) -> Judge:
    """A judge: the expected text is somewhere in the answer's.

    A number is contained where it stands by itself: 3 in "3 people", and not in "13 people" or in
    13. What else is not text is compared as its JSON. An answer that is a list contains what one
    of its items does, and an expected list is contained where all of its items are. Null and empty
    text are contained in null and empty text alone.

    Args:
        ignore_case: whether upper and lower case are the same.
    """

    def judge(answer: Any, expected: Any) -> bool:
        if isinstance(expected, list | tuple) and expected:
            return all(judge(answer, item) for item in expected)
        if isinstance(answer, list | tuple):
            return any(judge(item, expected) for item in answer) or exact(answer, expected)
        if is_number(answer):
            return exact(answer, expected)
        if is_number(expected):
            return isinstance(answer, str) and number_in(expected) in numbers_in(answer)
        wanted = as_text(expected, ignore_case)
        text = as_text(answer, ignore_case)
        return wanted in text if wanted else not text

    return judge


def regex(flags: int | re.RegexFlag = 0, *, timeout: float | None = None) -> Judge:
    """A judge: the expected pattern is found somewhere in the answer.

    Patterns are those of :mod:`re`; ``^`` and ``$`` tie one to the whole answer. What is not text
    is searched as its JSON, null as empty text. An answer that is the expected text itself is
    right whatever that means as a pattern, for it may come from ``stream.label(12, right=True)``.

    A pattern that repeats what repeats, such as ``(a+)+$``, may search a short answer for hours.
    :mod:`re` knows no limit, and nothing else in the process runs meanwhile, streams included; an
    interrupt of the kernel ends it. With ``timeout`` such a search is an error, and streams go on.

    Args:
        flags: those of :mod:`re`, such as ``re.IGNORECASE``.
        timeout: seconds that a search may take; needs the ``regex`` package, which then searches
            in place of :mod:`re`. Default: no limit.

    Raises:
        ValidationError: ``timeout`` is no positive number, or the ``regex`` package is missing.
    """
    search: Callable[[str, str], object]
    if timeout is None:

        def search(pattern: str, text: str) -> object:
            return re.search(pattern, text, flags)
    else:
        search = bounded_search(flags, timeout)

    def judge(answer: Any, expected: Any) -> bool:
        if not isinstance(expected, str):
            raise TypeError(f"the expected value is no pattern, but a {type(expected).__name__}")
        if exact(answer, expected):
            return True
        return search(expected, "" if answer is None else shown(answer)) is not None

    return judge


def number_within(absolute: float = 0, relative: float = 0) -> Judge:
    """A judge: ``|answer - expected| <= max(absolute, relative * |expected|)``, in decimal digits.

    Text counts as the one number in it ("84", "about 1,200 people"; but neither "10:42" nor
    "1.2.3"). Thousands are apart by commas, or by no-break, figure or thin spaces; minus signs
    and digits may be those of any script or typography ("−3", "８４"). Where one side is no number,
    the answer is right only where both say the same.

    Args:
        absolute: largest difference, x >= 0.
        relative: largest difference as a share of the expected number, x >= 0.

    Raises:
        ValidationError: a parameter is no finite number, or negative.
    """
    for name, value in (("absolute", absolute), ("relative", relative)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ValidationError(f"{name}={value!r} is not valid: it must be a number, x >= 0")
    most, share = Decimal(str(absolute)), Decimal(str(relative))

    def judge(answer: Any, expected: Any) -> bool:
        given, wanted = number_in(answer), number_in(expected)
        if given is None or wanted is None:
            return exact(answer, expected)
        # In decimal digits as written: as floats, 1.1 would not be within 0.1 of 1.0.
        apart = DIGITS.abs(DIGITS.subtract(given, wanted))
        return apart <= max(most, DIGITS.multiply(share, DIGITS.abs(wanted)))

    return judge


def set_overlap(at_least: float = 1.0, *, ignore_case: bool = True) -> Judge:
    """A judge: the answer's items are the expected ones (Jaccard index, as a least share).

    The items of text are what commas, semicolons or new lines separate, or else its words; but a
    text that as a whole is one of the other side's items ("New York") is one item. A number is the
    same as its text. Two empty sets are the same; null is an empty one.

    Args:
        at_least: least size of the intersection as a share of the union, 0 < x <= 1.
        ignore_case: whether upper and lower case are the same.

    Raises:
        ValidationError: ``at_least`` is out of its range.
    """
    number = isinstance(at_least, int | float) and not isinstance(at_least, bool)
    if not number or not 0 < at_least <= 1:
        raise ValidationError(
            f"at_least={at_least!r} is not valid: it must be a number, 0 < x <= 1"
        )

    def judge(answer: Any, expected: Any) -> bool:
        given, wanted = both_items(answer, expected, ignore_case)
        union = given | wanted
        return not union or len(given & wanted) / len(union) >= at_least

    return judge


# ---- which judge for which field ---------------------------------------------------------------

_MADE: dict[str, Callable[[], Judge]] = {
    "exact": lambda: exact,
    "contains": contains,
    "regex": regex,
    "number_within": number_within,
    "set_overlap": set_overlap,
}


def _judge(given: Any, name: str) -> Judge:
    """A judge from what a caller gave as ``name``."""
    if isinstance(given, str) and given in _MADE:
        return _MADE[given]()
    if not callable(given):
        names = ", ".join(map(repr, _MADE))
        raise ValidationError(
            f"{name}={given!r} is no judge: give {names}, a function judge(answer, expected) -> "
            "bool, or a dict of these by field"
        )
    # `contains` where `contains()` was meant: as a judge it could only fail.
    if given in (contains, regex, number_within, set_overlap):
        return given()  # type: ignore[no-any-return]
    return given  # type: ignore[no-any-return]


class FieldJudges:
    """The judge of each field, from what a caller gave.

    Args:
        judges: see :data:`Judges`.

    Raises:
        ValidationError: it is no judge.
    """

    def __init__(self, judges: Judges = None) -> None:
        self._by_field: dict[str | None, Judge] = {}
        self._other: Judge = exact
        if isinstance(judges, Mapping):
            for field, each in judges.items():
                self._by_field[field] = _judge(each, f"judge[{field!r}]")
        elif judges is not None:
            self._other = _judge(judges, "judge")

    def check_fields(self, known: Iterable[str | None]) -> None:
        """Check that the fields that were given a judge of their own are known.

        Raises:
            ValidationError: one is not; says which are.
        """
        names = {field_name(field) for field in known}
        for field in self._by_field:
            if field_name(field) not in names:
                raise ValidationError(
                    f"judge has a field {field!r}, which neither the labels nor the answers "
                    f"have: they have {', '.join(sorted(names)) or 'none'}"
                )

    def of(self, field: str | None) -> Judge:
        """The judge of a field."""
        if field is None and field not in self._by_field:
            field = ANSWER
        return self._by_field.get(field, self._other)

    def judge(self, field: str | None, sample: int, answer: Any, expected: Any) -> bool:
        """Whether an answer is right.

        Raises:
            ValidationError: the judge failed, or said neither True nor False.
        """
        judge = self.of(field)
        try:
            verdict = judge(answer, expected)
            # numpy's own bool counts too, None and numbers do not.
            if type(verdict).__name__ in ("bool", "bool_"):
                return bool(verdict)
            fault = f"said {_cut(verdict)}, and not True or False,"
        except Exception as error:  # whatever a caller's function raises
            cause: Exception | None = error
            fault = f"failed ({type(error).__name__}: {error})"
        else:
            cause = None
        raise ValidationError(
            f"the judge {_called(judge)} {fault} about field {field_name(field)!r} of sample "
            f"{sample}: answer {_cut(answer)}, expected {_cut(expected)}"
        ) from cause


def _called(judge: Judge) -> str:
    # "contains.<locals>.judge" is contains to people.
    return getattr(judge, "__qualname__", type(judge).__name__).removesuffix(".<locals>.judge")


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
