"""JSON schemas as the local models see them: checked, references put in place, easy to ask.

``jsonschema`` is imported when it is first needed, in the worker thread: beside Jupyter it brings
a grammar of URLs that takes a second to load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from .refusals import Invalid, Unsupported

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = [
    "alternatives",
    "first_error",
    "fits",
    "is_nullable",
    "kinds",
    "prepare",
    "schema_in_text",
]

Schema = Mapping[str, Any]

#: How deep a schema may nest, references included.
MAX_DEPTH = 12
#: How many subschemas a schema may have once its references are put in place.
MAX_NODES = 2_000

#: Keywords under which subschemas are found: in a mapping, in a list, or directly.
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_DIRECT = (
    "items",
    "additionalProperties",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
)


def prepare(schema: Any, where: str = "response_format.json_schema.schema") -> dict[str, Any]:
    """The schema, checked, with every ``$ref`` replaced by what it refers to.

    Raises:
        Invalid: it is not a JSON schema (draft 2020-12).
        Unsupported: it refers to another document or to itself, or is too deep or large.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema, Mapping):
        raise Invalid("a JSON schema is an object", where)
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        reason = getattr(error, "message", "it nests too deep")
        raise Invalid(f"the JSON schema is not valid: {reason}", where) from None
    budget = [MAX_NODES]
    return _inlined(schema, schema, 0, budget)


def _inlined(node: Schema, root: Schema, depth: int, budget: list[int]) -> dict[str, Any]:
    budget[0] -= 1
    if depth > MAX_DEPTH or budget[0] < 0:
        raise Unsupported(
            "the JSON schema refers to itself or is too large for the local models "
            f"(at most {MAX_DEPTH} levels and {MAX_NODES} parts)"
        )
    if "$dynamicRef" in node:
        raise Unsupported("the local models do not follow $dynamicRef in a JSON schema")
    if "$ref" in node:
        target = _resolved(str(node["$ref"]), root)
        rest = {key: value for key, value in node.items() if key != "$ref"}
        if target is True:
            target = {}
        if not isinstance(target, Mapping):
            raise Unsupported(f"the JSON schema's $ref {node['$ref']!r} leads to no schema")
        return _inlined({**target, **rest}, root, depth + 1, budget)

    def walk(value: Any) -> Any:
        return _inlined(value, root, depth + 1, budget) if isinstance(value, Mapping) else value

    result = {key: value for key, value in node.items() if key not in ("$defs", "definitions")}
    for key in _MAPS:
        if isinstance(node.get(key), Mapping):
            result[key] = {name: walk(value) for name, value in node[key].items()}
    for key in _LISTS:
        if isinstance(node.get(key), list):
            result[key] = [walk(value) for value in node[key]]
    for key in _DIRECT:
        if key in node:
            result[key] = walk(node[key])
    # A single allOf, as schema generators write it for a field with a description.
    parts = result.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        result = {**parts[0], **{key: value for key, value in result.items() if key != "allOf"}}
    return result


def _resolved(reference: str, root: Schema) -> Any:
    if not reference.startswith("#"):
        raise Unsupported(f"the local models do not follow $ref to other documents: {reference!r}")
    target: Any = root
    for step in reference[1:].strip("/").split("/"):
        if not step:
            continue
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or step not in target:
            raise Invalid(f"the JSON schema's $ref {reference!r} leads nowhere", "response_format")
        target = target[step]
    return target


def kinds(schema: Schema) -> frozenset[str]:
    """The JSON types that a value may have; guessed from other keywords where none is named."""
    named = schema.get("type")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list):
        return frozenset(named)
    if "properties" in schema:
        return frozenset({"object"})
    if "items" in schema:
        return frozenset({"array"})
    if "pattern" in schema:
        return frozenset({"string"})
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return frozenset(_kind(value) for value in values)
    return frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def is_nullable(schema: Schema) -> bool:
    """Whether null fits, and is meant: by its type, an alternative or an enumeration."""
    typed = "type" in schema or "enum" in schema or "anyOf" in schema or "oneOf" in schema
    return typed and fits(None, schema)


def alternatives(schema: Schema) -> list[dict[str, Any]]:
    """The schema once for each ``anyOf``/``oneOf`` branch that is more than null; else itself."""
    for key in ("anyOf", "oneOf"):
        if branches := schema.get(key):
            outer = {name: value for name, value in schema.items() if name != key}
            return [
                {**outer, **branch}
                for branch in branches
                if isinstance(branch, Mapping) and branch.get("type") != "null"
            ]
    return [dict(schema)]


def _validator(schema: Schema) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # References are in place already; the empty registry makes sure that none is ever fetched.
    return Draft202012Validator(schema, registry=Registry())


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is valid by the (prepared) schema."""
    return bool(_validator(schema).is_valid(value))


def first_error(value: Any, schema: Schema) -> str | None:
    """What is wrong with a value by the (prepared) schema, with its place, or None."""
    error = next(iter(_validator(schema).iter_errors(value)), None)
    if error is None:
        return None
    return f"{error.json_path}: {error.message}"


def schema_in_text(text: str) -> tuple[dict[str, Any] | None, str]:
    """The first JSON schema written out in a text, and the text without it.

    A JSON object counts as a schema when it has ``properties``, ``$ref``, or a ``type`` that is
    a JSON type.
    """
    for match in re.finditer(r"\{", text):
        start = match.start()
        end = _end_of_object(text, start)
        if end is None:
            continue
        try:
            value = orjson.loads(text[start:end])
        except orjson.JSONDecodeError:
            continue
        if "properties" in value or "$ref" in value or _is_type(value.get("type")):
            return value, (text[:start] + " " + text[end:]).strip()
    return None, text


def _is_type(value: Any) -> bool:
    names = {"object", "array", "string", "number", "integer", "boolean"}
    return isinstance(value, str) and value in names


def _end_of_object(text: str, start: int) -> int | None:
    depth, in_string, escaped = 0, False, False
    for index in range(start, len(text)):
        char = text[index]
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return index + 1
    return None
