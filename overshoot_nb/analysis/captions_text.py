"""What is said about each row: a column, several in one line, or what a function makes of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from string import Formatter
from typing import TYPE_CHECKING, Any

import orjson

from overshoot_nb.conditions.names import not_there, resolve
from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError
from overshoot_nb.support.html import clock, visible

from .rows import is_missing, media_seconds

if TYPE_CHECKING:
    import pandas as pd

#: A column, a format such as "{out.clock}  {out.people} people", or a function of a row.
CaptionText = str | Callable[[Any], Any]

_OUT = "out."
#: What no text of a caption holds: the mark of a file's begin. Lines end here, too.
_BYTE_ORDER_MARK = "\ufeff"
_LINE_ENDS = re.compile("[\n\u2028\u2029]")


def texts_of(rows: pd.DataFrame, caption: CaptionText | None, method: str) -> list[str]:
    """The text of each row, "" where it has none; lines that are not empty, without spaces around.

    None means the answers: ``result``, or the fields of structured ones as "people: 3 · dark: no".

    Raises:
        ValidationError: ``caption`` names no column of these rows, or cannot be used on one.
    """
    if caption is None:
        texts: Iterable[Any] = _answers(rows, method)
    elif callable(caption):
        texts = (_shown(caption(rows.iloc[at])) for at in range(len(rows)))
    elif not isinstance(caption, str):
        raise ValidationError(
            f"caption={caption!r} is not valid: give a column, a format such as "
            '"{out.clock} {out.people}", or a function of a row'
        )
    elif (name := resolve(caption, rows.columns)) is not None:
        texts = map(_shown, _values(rows, name, method))
    elif "{" in caption:
        texts = _formatted(rows, caption, method)
    else:
        raise ValidationError(
            f"caption={caption!r}: {not_there(caption, rows.columns)}; a format has "
            'columns in braces, such as "{out.clock} {out.people}"'
        )
    return [_clean(text) for text in texts]


def _answers(rows: pd.DataFrame, method: str) -> Iterable[str]:
    fields = [name for name in rows.columns if str(name).startswith(_OUT)]
    if not fields:
        name = "out" if "out" in rows.columns else "result"
        return map(_shown, _values(rows, name, method))
    columns = [
        [f"{name.removeprefix(_OUT)}: {text}" if text else "" for text in map(_shown, values)]
        for name, values in ((name, _values(rows, name, method)) for name in fields)
    ]
    return (" · ".join(filter(None, cells)) for cells in zip(*columns, strict=True))


def _values(rows: pd.DataFrame, name: str, method: str) -> list[Any]:
    """The cells of a column; media times as seconds."""
    require(rows, method, name)
    if name == "media_time":
        return [clock(at) if math.isfinite(at) else None for at in media_seconds(rows, method)]
    return list(rows[name])


def _formatted(rows: pd.DataFrame, form: str, method: str) -> Iterable[str]:
    # A column's name may have dots: str.format would take what follows one for an attribute, and
    # would reach whatever objects have.
    try:
        plain, stood_for = _stand_ins(form, rows.columns)
        pieces = list(Formatter().parse(plain))
    except ValueError as error:
        raise ValidationError(f"caption={form!r} is no format: {error}") from None
    columns: list[tuple[str, list[str]]] = []
    between = ""
    for literal, field, spec, conversion in pieces:
        between += literal
        if field is None:  # the end, or a brace that stands for itself
            continue
        field = stood_for.get(field, field)
        if (name := resolve(field, rows.columns)) is None:
            raise ValidationError(f"caption={form!r}: {not_there(field, rows.columns)}")
        if conversion:
            raise ValidationError(f"caption={form!r}: !{conversion} is not known in captions")
        if spec and name == "media_time":
            cells: list[Any] = list(media_seconds(rows, method))
        else:
            cells = _values(rows, name, method)
        columns.append((between, [_fitted(cell, spec or "", field, form) for cell in cells]))
        between = ""
    if not columns:
        return [between] * len(rows)
    heads = [head for head, _ in columns]
    lines = zip(*(cells for _, cells in columns), strict=True)
    return (
        # Of nothing but missing values there is nothing to say.
        "".join(head + cell for head, cell in zip(heads, line, strict=True)) + between
        if any(line)
        else ""
        for line in lines
    )


#: What str.format takes for a part of its own where a column's name has it.
_OF_FORMATS = re.compile(r"[{}:!\[\]]")


def _stand_ins(form: str, columns: Iterable[object]) -> tuple[str, dict[str, str]]:
    """The format with stand-ins for names that no format can hold, and what these stand for.

    Of several that fit, the longest is meant; "{{" begins such a name where a column is called so.
    """
    known = {str(column) for column in columns}
    names = {name for column in known for name in (column, column.removeprefix(_OUT))}
    special = sorted(filter(_OF_FORMATS.search, names), key=len, reverse=True)
    if not special:
        return form, {}
    numbers = {name: f"\0{number}" for number, name in enumerate(special)}
    either = "|".join(map(re.escape, special))
    plain = re.sub(
        rf"\{{({either})(?=[}}:!])|\{{\{{|\}}\}}",
        lambda found: "{" + numbers[found[1]] if found[1] else found[0],
        form,
    )
    return plain, {number: name for name, number in numbers.items()}


def _fitted(value: Any, spec: str, field: str, form: str) -> str:
    if not spec or is_missing(value):
        return _shown(value)
    try:
        return format(value, spec)
    except (ValueError, TypeError) as error:
        raise ValidationError(
            f"caption={form!r}: {field} is {_shown(value)!r:.60}, which {spec!r} does not fit "
            f"({error})"
        ) from None


def _shown(value: Any) -> str:
    """A cell for people; "" where it is missing."""
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | dict):
        try:
            return orjson.dumps(value, default=str).decode()
        except (TypeError, ValueError):  # half a character, or an integer beyond 64 bits
            return str(value)
    return str(value)


def _clean(text: str) -> str:
    lines = _LINE_ENDS.split(visible(text.replace(_BYTE_ORDER_MARK, "")))
    lines = [" ".join(line.split()) for line in lines]
    return "\n".join(line for line in lines if line)
