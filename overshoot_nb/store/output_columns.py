"""Which columns a JSON schema promises: one for each leaf of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np

from .columns import (
    CategoryColumn,
    Column,
    NullableColumn,
    NumberColumn,
    ObjectColumn,
    TextColumn,
    TimeColumn,
    parse_timestamp_us,
    to_float,
)

_Path = tuple[str, ...]
_UNIONS = ("anyOf", "oneOf", "allOf")


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a structured answer.

    Attributes:
        name: "out.home.score".
        path: the keys that lead to its value, ("home", "score"); empty for the answer itself.
        column: the values.
    """

    name: str
    path: _Path
    column: Column

    def pick(self, output: Any) -> Any:
        """The column's value in an answer, None where there is none."""
        for key in self.path:
            if not isinstance(output, dict):
                return None
            output = output.get(key)
        return output


def output_columns(*schemas: Mapping[str, Any]) -> list[OutputColumn]:
    """The columns for answers that fit any of ``schemas``, in the schemas' order.

    An object with named properties becomes a column for each, named with dots; a schema that is
    no such object becomes the one column ``out``. Two properties whose dotted names are the same
    stay two columns: the second one's name ends in ``_2``.
    """
    leaves: dict[_Path, Mapping[str, Any]] = {}
    for schema in schemas:
        for path, leaf in _leaves(schema, schema, (), frozenset()):
            leaves[path] = _agreed(leaves[path], leaf) if path in leaves else leaf
    columns: list[OutputColumn] = []
    names: set[str] = set()
    for path, leaf in leaves.items():
        wanted = name = ".".join(("out", *path)).encode("utf-8", "replace").decode()
        number = 1
        while name in names:
            number += 1
            name = f"{wanted}_{number}"
        names.add(name)
        columns.append(OutputColumn(name, path, _column(leaf)))
    return columns


def _leaves(
    root: Mapping[str, Any], schema: Any, path: _Path, seen: frozenset[str]
) -> list[tuple[_Path, Mapping[str, Any]]]:
    """The leaves below ``schema``: where they are and their own schemas."""
    schema, seen = _resolved(root, schema, seen)
    properties = schema.get("properties")
    if _type(schema) == "object" and isinstance(properties, Mapping) and properties:
        return [
            leaf
            for name, below in properties.items()
            for leaf in _leaves(root, below, (*path, name), seen)
        ]
    return [(path, schema)]


def _resolved(
    root: Mapping[str, Any], schema: Any, seen: frozenset[str]
) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The schema without references, and without unions that only add null.

    ``seen`` are the references followed so far: one that leads back to itself has no end, so
    what it stands for is unknown ({}), like every reference out of the document.
    """
    while isinstance(schema, Mapping):
        branch: Any
        if isinstance(reference := schema.get("$ref"), str):
            if reference in seen:
                return {}, seen
            seen |= {reference}
            branch, without = pointed(root, reference), "$ref"
        elif (union := _only_branch(schema)) is not None:
            without, branch = union
        else:
            return schema, seen
        if not isinstance(branch, Mapping):
            return {}, seen
        schema = _merged(branch, {k: v for k, v in schema.items() if k != without})
    return {}, seen


def _merged(branch: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in place of the keyword that led to ``branch``; ``rest`` stood beside it."""
    both = {**branch, **rest}
    if "properties" in branch and "properties" in rest:
        both["properties"] = {**branch["properties"], **rest["properties"]}
    return both


def _only_branch(schema: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The keyword and the one branch of an anyOf, oneOf or allOf, nulls not counted."""
    for keyword in _UNIONS:
        branches = schema.get(keyword)
        if isinstance(branches, list):
            branches = [b for b in branches if not (isinstance(b, Mapping) and _is_null(b))]
            if len(branches) == 1:
                return keyword, branches[0]
    return None


def _agreed(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a column must hold to hold the values of both; {} is anything."""
    if one == other:
        return one
    kinds = {_type(one), _type(other)}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    kind = kinds.pop()
    if kinds or kind is None:
        return {}
    if kind == "string" and _values(one) and _values(other):
        return {"enum": [*_values(one), *_values(other)]}
    agreed: dict[str, Any] = {"type": kind}
    if kind == "string" and one.get("format") == other.get("format") == "date-time":
        agreed["format"] = "date-time"
    if kind == "integer" and (_beyond_int64(one) or _beyond_int64(other)):
        agreed["minimum"] = -(2**64)  # no matter how far: it needs the wide column
    return agreed


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("null", ["null"]) or schema.get("const", ...) is None


def pointed(root: Mapping[str, Any], reference: str) -> Any:
    """What a JSON pointer into the schema points at, else None."""
    if not reference.startswith("#"):
        return None
    target: Any = root
    for part in unquote(reference[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and key.isdecimal() and int(key) < len(target):
            target = target[int(key)]
        elif isinstance(target, Mapping):
            target = target.get(key)
        else:
            return None
    return target


def _type(schema: Mapping[str, Any]) -> str | None:
    """The one JSON type that a schema allows besides null, None where there are several."""
    allowed = schema.get("type")
    if allowed is None:
        if any(keyword in schema for keyword in _UNIONS):
            return None
        if values := _values(schema):
            kinds = {type(v) for v in values}
            names = {str: "string", int: "integer", float: "number", bool: "boolean"}
            return names.get(kinds.pop()) if len(kinds) == 1 else None
        return "object" if "properties" in schema else None
    types = {allowed} if isinstance(allowed, str) else {t for t in allowed if t != "null"}
    if types == {"integer", "number"}:
        return "number"
    return types.pop() if len(types) == 1 else None


def _values(schema: Mapping[str, Any]) -> list[Any]:
    """The values that a schema lists, null left out."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return [v for v in listed if v is not None] if isinstance(listed, list) else []


def _beyond_int64(schema: Mapping[str, Any]) -> bool:
    limits = [schema.get(k) for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")]
    numbers = [x for x in (*limits, *_values(schema)) if isinstance(x, int | float)]
    return any(not -(2**63) <= x < 2**63 for x in numbers)


def _column(schema: Mapping[str, Any]) -> Column:
    """An empty column for values of a schema without references."""
    match _type(schema):
        case "string":
            if values := _values(schema):
                return CategoryColumn(v for v in values if isinstance(v, str))
            if schema.get("format") == "date-time":
                return TimeColumn(parse_timestamp_us)
            return TextColumn()
        case "integer":
            return ObjectColumn(int) if _beyond_int64(schema) else NullableColumn(np.int64)
        case "number":
            return NumberColumn(np.float64, to_float, np.nan)
        case "boolean":
            return NullableColumn(np.bool_)
        case "array":
            return ObjectColumn(list)
        case "object":
            return ObjectColumn(dict)
        case _:
            return ObjectColumn()
