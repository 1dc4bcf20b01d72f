"""What a label can be made of: indices of samples, names of fields, JSON values."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from overshoot_nb.errors import ValidationError

from .fields import fields_of


def expected_fields(expected: Any, field: str | None) -> dict[str | None, Any]:
    """Expected values by field; ``field`` is above those of a dict.

    Raises:
        ValidationError: a value cannot be used, or a dict names no field.
    """
    if not isinstance(expected, Mapping):
        return {field: json_value(expected)}
    value = json_value(expected)
    if not value:
        raise ValidationError(f"expected={expected!r} names no field: give at least one")
    return fields_of(value, field or "")


def check_sample(sample: Any) -> int:
    """The index of a sample: a whole number, of numpy too.

    Raises:
        ValidationError: it is none.
    """
    try:
        if isinstance(sample, bool):
            raise TypeError
        index = operator.index(sample)
    except TypeError:
        raise ValidationError(f"sample={cut(sample)} is no index of a sample") from None
    if index < 0:
        raise ValidationError(f"sample={index} is not valid: indices of samples begin at 0")
    return index


def check_field(field: Any) -> str | None:
    """The name of a field, or None for the whole answer.

    Raises:
        ValidationError: it is none.
    """
    if field is not None and (not isinstance(field, str) or not field):
        raise ValidationError(f'field={cut(field)} is no field: give a name such as "home.score"')
    return field


def json_value(value: Any) -> Any:
    """A copy of a JSON value; tuples and sets as lists, numpy's scalars and arrays as Python's.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValidationError(
                f"{cut(value)} is no value that an answer can have: it has a lone surrogate"
            ) from None
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValidationError(f"{value!r} is no value that an answer can have: JSON has none")
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key): json_value(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return [json_value(item) for item in sorted(value, key=repr)]
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if hasattr(value, "tolist"):
        return json_value(value.tolist())
    raise ValidationError(
        f"{cut(value)} is no value that an answer can have: give text, a number, True, False, "
        "None, or lists and dicts of these"
    )


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValidationError(f"{cut(key)} is no name of a field: names are text")
    return key


def cut(value: Any) -> str:
    """A value as Python writes it, in at most 100 characters: for messages."""
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
