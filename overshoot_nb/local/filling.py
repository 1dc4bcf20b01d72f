"""A JSON schema is filled with what the skills found; what none finds is null, absent or refused.

For a property the rules are asked in this order, and the first value that fits its schema wins:

1. a field of a skill with the property's name (`skills.FIELDS`) and type;
2. text rules: ``pattern``, then ``enum``, then a label (`finding`);
3. arrays: a table whose header shows the items' names, else each row that fills an item;
   strings by ``pattern``, ``enum``; ``numbers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import finding
from .reading import Page
from .refusals import Unsupported
from .schema import alternatives, first_error, fits, is_nullable, kinds
from .skills import FIELDS, Look, field_of
from .work import go_on

Schema = Mapping[str, Any]

#: No value: different from null, which is one.
_NONE: Any = object()
_SUPPORTED = (
    "the local models fill the fields "
    + ", ".join(field.name for field in FIELDS)
    + "; and, from visible text, strings with a pattern or enum, texts and numbers beside a label "
    "that is the property's name (or quoted in its description), and arrays of objects from "
    "tables"
)


def fill(schema: Schema, look: Look, skills: Sequence[str]) -> Any:
    """An answer that is valid by the schema.

    Args:
        schema: as `schema.prepare` returns it.
        skills: names of the skills that the model has.

    Raises:
        Unsupported: something that the schema requires was not found, or is beyond the skills.
    """
    missing: list[str] = []
    value = _value("", schema, look, skills, missing, "")
    if missing:
        names = ", ".join(missing)
        raise Unsupported(
            f"no local skill found a value for {names}, which the schema requires and does not "
            f"let be null; {_SUPPORTED}",
            fields=missing,
        )
    if value is _NONE:
        if not is_nullable(schema):
            raise Unsupported(f"no local skill can fill this schema; {_SUPPORTED}")
        value = None
    if problem := first_error(value, schema):
        raise Unsupported(f"what the local skills found does not fit the schema: {problem}")
    return value


def _value(
    name: str, schema: Schema, look: Look, skills: Sequence[str], missing: list[str], path: str
) -> Any:
    """The value of a property, or _NONE; required parts of objects that lack one are listed."""
    go_on()
    for branch in alternatives(schema):
        allowed = kinds(branch)
        for field in field_of(name, skills):
            if field.kind in allowed or (field.kind == "integer" and "number" in allowed):
                value = field.value(look)
                if value is not None and fits(value, branch):
                    return value
        if "object" in allowed and "properties" in branch:
            return _object(branch, look, skills, missing, path)
        if "text" in skills:
            value = _from_text(name, branch, allowed, look.page)
            if value is not _NONE and fits(value, branch):
                return value
    return _NONE


def _object(
    schema: Schema, look: Look, skills: Sequence[str], missing: list[str], path: str
) -> dict[str, Any]:
    required = schema.get("required", [])
    filled: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        if part is False:
            continue
        part = part if isinstance(part, Mapping) else {}
        inner: list[str] = []
        place = f"{path}.{name}" if path else name
        value = _value(name, part, look, skills, inner, place)
        if value is _NONE or inner:
            if is_nullable(part):
                filled[name] = None
            elif name in required:
                missing.extend(inner or [place])
        else:
            filled[name] = value
    named = schema["properties"]
    missing.extend(f"{path}.{n}" if path else n for n in required if n not in named)
    return filled


def _from_text(name: str, schema: Schema, allowed: frozenset[str], page: Page) -> Any:
    labels = finding.labels_of(name, schema)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    value: Any = None
    if "string" in allowed and isinstance(schema.get("pattern"), str):
        value = finding.matching(page, schema["pattern"], labels)
    elif values is not None:
        if strings := [v for v in values if isinstance(v, str) and v.strip()]:
            value = finding.visible(page, strings, labels)
        elif "integer" in allowed or "number" in allowed:
            value = finding.near_label(page, labels, "number")
    elif allowed & {"integer", "number"}:
        kind = "number" if "number" in allowed else "integer"
        value = finding.near_label(page, labels, kind)
    if value is None and values is None and "pattern" not in schema and "string" in allowed:
        value = finding.near_label(page, labels, "string")
    if value is None and "array" in allowed:
        value = _array(name, schema, page)
    return _NONE if value is None else value


def _array(name: str, schema: Schema, page: Page) -> list[Any] | None:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    branch = next(iter(alternatives(items)), {})
    allowed = kinds(branch)
    most = schema.get("maxItems")
    found: list[Any] | None = None
    if "object" in allowed and isinstance(branch.get("properties"), Mapping):
        found = _table(branch, page)
    elif "string" in allowed and isinstance(branch.get("pattern"), str):
        found = [text for _, text in finding.all_matches(page, branch["pattern"])]
    elif "string" in allowed and isinstance(branch.get("enum"), list):
        strings = [v for v in branch["enum"] if isinstance(v, str)]
        found = [text for _, text in finding.all_visible(page, strings)]
    elif allowed & {"integer", "number"} and "numbers" in name.casefold().replace("_", " ").split():
        found = list(finding.numbers(page, "number" if "number" in allowed else "integer"))
    if found is None:
        return None
    found = [item for item in found if fits(item, items)]
    if schema.get("uniqueItems"):
        found = [item for i, item in enumerate(found) if item not in found[:i]]
    return found[:most] if most is not None else found


def _table(item: Schema, page: Page) -> list[dict[str, Any]] | None:
    """Objects from the rows of a table; None where no row has what an item requires."""
    parts = {n: p for n, p in item["properties"].items() if isinstance(p, Mapping)}
    rows = finding.table(page, {n: finding.labels_of(n, p) for n, p in parts.items()})
    found = []
    if rows is not None:
        for cells in rows:
            values = {n: _cell(p, cells[n]) for n, p in parts.items() if n in cells}
            found.append(_completed(item, parts, values))
    else:
        # No header: only properties that are recognised by their own form.
        shaped = {n: p for n, p in parts.items() if "pattern" in p or "enum" in p}
        for row in page.rows if shaped else ():
            alone = Page((row,))
            values = {n: _from_text(n, p, kinds(p), alone) for n, p in shaped.items()}
            if any(value is not _NONE for value in values.values()):
                found.append(_completed(item, parts, values))
    whole = [values for values in found if values is not None]
    return whole if rows is not None or whole else None


def _cell(schema: Schema, cell: Page) -> Any:
    for branch in alternatives(schema):
        allowed = kinds(branch)
        value: Any
        if "pattern" in branch or "enum" in branch:
            value = _from_text("", branch, allowed, cell)
        elif "string" in allowed:
            value = " ".join(cell.lines)
        elif allowed & {"integer", "number"}:
            kind = "number" if "number" in allowed else "integer"
            value = finding.number_in(cell.text, kind, whole=True)
        else:
            continue
        if value is not None and value is not _NONE and fits(value, branch):
            return value
    return _NONE


def _completed(
    item: Schema, parts: Mapping[str, Schema], values: Mapping[str, Any]
) -> dict[str, Any] | None:
    filled = {name: value for name, value in values.items() if value is not _NONE}
    if not filled:
        return None
    for name in item.get("required", []):
        if name not in filled:
            if name not in parts or not is_nullable(parts[name]):
                return None
            filled[name] = None
    return filled
