"""JSON schemas as the local models see them: checked, references put in place, easy to ask.

``jsonschema`` is imported when it is first needed, never on an event loop: beside Jupyter it
brings a grammar of URLs that takes a second to load. A server has it imported beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, cast

import orjson

from .patterns import compiled, matches
from .refusals import Invalid, Unsupported

Schema = Mapping[str, Any]

#: How deep a schema may nest, references included.
MAX_DEPTH = 12
#: How many subschemas a schema may have once its references are put in place.
MAX_NODES = 2_000
#: What a schema may hold as it was sent: objects, values of any kind, and how deep these nest.
#: Counting is cheap, and checking a schema is not.
MAX_OBJECTS = 2 * MAX_NODES
MAX_VALUES = 50_000
MAX_NESTING = 64

#: Characters of what is wrong with a schema that are told.
MAX_REASON = 300
#: Places in a prompt that may be the beginning of a schema, and characters of one.
MAX_STARTS = 64
MAX_WRITTEN = 256 * 1024

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


#: References are in place afterwards; and no part is of another draft than the whole, for then
#: other rules would match its patterns.
_LEFT_OUT = ("$defs", "definitions", "$schema", "$id", "$anchor")


def prepare(schema: Any, where: str = "response_format.json_schema.schema") -> dict[str, Any]:
    """The schema, checked, with every ``$ref`` replaced by what it refers to.

    Raises:
        Invalid: it is not a JSON schema (draft 2020-12).
        Unsupported: it refers to another document or to itself, or is too deep or large.
    """
    if not isinstance(schema, Mapping):
        raise Invalid("a JSON schema is an object", where)
    _measure(schema)
    prepared = _inlined(schema, schema, 0, [MAX_NODES])
    from jsonschema.exceptions import SchemaError

    cls, formats = _dialect()
    try:
        cls.check_schema(schema, format_checker=formats)
    except (SchemaError, RecursionError) as error:
        reason = str(getattr(error, "message", "it nests too deep"))[:MAX_REASON]
        raise Invalid(f"the JSON schema is not valid: {reason}", where) from None
    written = orjson.dumps(schema)
    if b'"unevaluatedProperties"' in written and b'"patternProperties"' in written:
        # Together they are matched in a way of jsonschema's own, without a limit of time.
        raise Unsupported(
            "the local models do not follow unevaluatedProperties beside patternProperties"
        )
    return prepared


def _measure(schema: Any) -> None:
    objects = values = 0
    level = [schema]
    for _ in range(MAX_NESTING):
        below: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                objects += 1
                below += value.values()
            elif isinstance(value, list):
                below += value
        values += len(level)
        if objects > MAX_OBJECTS or values + len(below) > MAX_VALUES:
            break
        if not below:
            return
        level = below
    raise _too_large()


def _too_large() -> Unsupported:
    return Unsupported(
        "the JSON schema refers to itself or is too large for the local models "
        f"(at most {MAX_DEPTH} levels and {MAX_NODES} parts)"
    )


def _inlined(node: Schema, root: Schema, depth: int, budget: list[int]) -> dict[str, Any]:
    budget[0] -= 1
    if depth > MAX_DEPTH or budget[0] < 0:
        raise _too_large()
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

    result = {key: value for key, value in node.items() if key not in _LEFT_OUT}
    if isinstance(node.get("pattern"), str):
        compiled(node["pattern"])
    if isinstance(node.get("patternProperties"), Mapping):
        for pattern in node["patternProperties"]:
            compiled(pattern)
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


def load() -> None:
    """Import what checking a schema needs, so that no request waits for it."""
    _dialect()


@cache
def _dialect() -> tuple[Any, Any]:
    """The validator of draft 2020-12 with patterns that end in time, and the formats it knows."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.validators import extend

    formats = FormatChecker(())
    known = Draft202012Validator.FORMAT_CHECKER.checkers
    # Patterns are compiled by what matches them.
    formats.checkers = {name: check for name, check in known.items() if name != "regex"}
    rules: Any = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    return cast(Any, extend)(Draft202012Validator, rules), formats


def _pattern(validator: Any, pattern: str, value: Any, schema: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Schema, value: Any, schema: Schema
) -> Iterator[Any]:
    for pattern, part in patterns.items() if isinstance(value, dict) else ():
        for name, inner in value.items():
            if matches(pattern, name):
                yield from validator.descend(inner, part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rest: Any, value: Any, schema: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(value, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, inner in value.items():
        if name in named or any(matches(pattern, name) for pattern in patterns):
            continue
        if rest is False:
            yield ValidationError(f"additional properties are not allowed ({name!r})")
        else:
            yield from validator.descend(inner, rest, path=name)


def _validator(schema: Schema) -> Any:
    from referencing import Registry

    cls, _ = _dialect()
    # References are in place already; the empty registry makes sure that none is ever fetched.
    return cls(schema, registry=Registry())


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
    for match in islice(re.finditer(r"\{", text), MAX_STARTS):
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
    for index in range(start, min(len(text), start + MAX_WRITTEN)):
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
