"""The fields of an answer, and what they can say.

A structured answer has a field for each leaf of its objects, nested ones named with dots
("home.score"); a list is a leaf. Any other answer is one field, whose key is None.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from overshoot_nb.types import StreamInferenceResult

#: How tables call the one field of an answer without named ones.
ANSWER = "answer"
#: The same, where the answers of others have a field of that name.
WHOLE_ANSWER = "(whole answer)"


def field_name(field: str | None) -> str:
    """A field as tables show it: "answer" where it has no name."""
    return ANSWER if field is None else field


def field_names(fields: Iterable[str | None]) -> dict[str | None, str]:
    """Fields as tables show them, where the whole answer has a name that no field has."""
    known = dict.fromkeys(fields)
    names = {field: field_name(field) for field in known}
    if None in known and ANSWER in known:
        names[None] = WHOLE_ANSWER
    return names


# ---- answers -----------------------------------------------------------------------------------


def is_answer(result: StreamInferenceResult) -> bool:
    """Whether the model said something, usable or not; False where the request failed."""
    return result.ok or bool(result.result or result.finish_reason or result.reasoning)


def answer_fields(result: StreamInferenceResult) -> dict[str | None, Any]:
    """What an answer says, field by field; {} where it cannot be used.

    Two leaves of the same dotted name stay two fields: the second one's name ends in ``_2``.
    """
    if not result.ok:
        return {}
    if isinstance(result.output, dict):
        return fields_of(result.output)
    return {None: _whole(result)}


def field_value(result: StreamInferenceResult, field: str | None) -> Any:
    """What a usable answer says in a field: null (None) where it says nothing.

    ``field`` may name an object of the answer too; its value is a dict then. None is the whole of
    an answer, a dict where it is structured.
    """
    if field is None:
        return _whole(result)
    fields = answer_fields(result)
    if field in fields:
        return fields[field]
    value = result.output
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _whole(result: StreamInferenceResult) -> Any:
    return result.result if result.output is None else result.output


_LEAVES = frozenset((str, int, float, bool, type(None), list))


def fields_of(value: Mapping[str, Any], above: str = "") -> dict[str | None, Any]:
    """The leaves of an object by dotted name; ``above`` stands before each name, with a dot."""
    if not above and _LEAVES.issuperset(map(type, value.values())):
        # As nearly all are, of which there may be very many.
        return dict(value)  # type: ignore[return-value]
    fields: dict[str | None, Any] = {}  # as answer_fields has them
    for name, leaf in _leaves(value, above):
        free, number = name, 1
        while free in fields:
            number += 1
            free = f"{name}_{number}"
        fields[free] = leaf
    return fields


def _leaves(value: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(below, Mapping) and below:
            yield from _leaves(below, name)
        else:
            yield name, below


# ---- values ------------------------------------------------------------------------------------


def comparable(value: Any) -> Hashable:
    """A key that is the same for values that say the same.

    Of text neither Unicode's form (NFC) nor whitespace around it matters. 3 is 3.0, and True is
    no number. The order of a list matters, that of an object's keys does not.
    """
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip()
    if isinstance(value, bool) or value is None:
        return (type(value), value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, Mapping):
        return ("object", frozenset((key, comparable(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(map(comparable, value)))
    return (type(value), repr(value))


def shown(value: Any) -> str:
    """A value as text for people: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False, default=repr)


# ---- schemas -----------------------------------------------------------------------------------


def closed_values(schema: Mapping[str, Any] | None, field: str | None) -> list[Any] | None:
    """The few values that a field can have, in the schema's order, null last.

    Returns None where it can have others: where the schema says neither ``enum`` nor ``const``
    nor boolean, or has no such field.
    """
    if schema is None:
        return None
    values: dict[Hashable, Any] = {}
    for branch in _reached(schema, schema, field):
        listed = _listed(branch)
        if listed is None:
            return None
        values.update((comparable(v), v) for v in listed)
    has_null = values.pop(comparable(None), ...) is None
    return [*values.values(), *([None] if has_null else [])] or None


def may_have(schema: Mapping[str, Any] | None, field: str | None) -> bool:
    """Whether an answer that fits the schema may have a field; None is free text."""
    if schema is None:
        return field is None
    if field is None:
        return not all(map(_is_object, _branches(schema, schema, frozenset())))
    return any(True for _ in _reached(schema, schema, field))


def _listed(branch: Mapping[str, Any]) -> list[Any] | None:
    """All values of a schema without references and unions, None where they are not listed."""
    if "const" in branch:
        return [branch["const"]]
    if isinstance(branch.get("enum"), list):
        return list(branch["enum"])
    kinds = branch.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not set(kinds) <= {"boolean", "null"}:
        return None
    booleans = [True, False] if "boolean" in kinds else []
    return [*booleans, *([None] if "null" in kinds else [])]


def _is_object(branch: Mapping[str, Any]) -> bool:
    """Whether what fits is an object, and nothing else."""
    return _kinds(branch) == ["object"]


def _kinds(branch: Mapping[str, Any]) -> list[Any]:
    """The types that a schema names."""
    kinds = branch.get("type", "object" if "properties" in branch else [])
    return kinds if isinstance(kinds, list) else [kinds]


def _reached(
    root: Mapping[str, Any], schema: Any, field: str | None
) -> Iterator[Mapping[str, Any]]:
    """The schemas, without references and unions, that a field's value may fit."""
    for branch in _branches(root, schema, frozenset()):
        if field is None:
            yield branch
            continue
        properties = branch.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            if "object" in _kinds(branch):  # of any properties
                yield {}
            continue
        for name, below in properties.items():
            if field == name:
                yield from _reached(root, below, None)
            elif field.startswith(f"{name}."):
                yield from _reached(root, below, field[len(name) + 1 :])


def _branches(
    root: Mapping[str, Any], schema: Any, seen: frozenset[str]
) -> Iterator[Mapping[str, Any]]:
    """The schema's alternatives, without references: those of anyOf and oneOf, each on its own.

    ``seen`` are the references followed so far: what leads back to itself says nothing.
    """
    if not isinstance(schema, Mapping):
        yield {}
        return
    rest = dict(schema)
    reference = rest.pop("$ref", None)
    if isinstance(reference, str):
        if reference in seen:
            yield {}
            return
        from .output_columns import pointed  # imports pandas, which is slow

        target = pointed(root, reference)
        for branch in _branches(root, target, seen | {reference}):
            yield {**branch, **rest}
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        union = rest.get(keyword)
        if isinstance(union, list) and union and (keyword != "allOf" or len(union) == 1):
            del rest[keyword]
            for alternative in union:
                for branch in _branches(root, alternative, seen):
                    yield {**branch, **rest}
            return
    yield rest
