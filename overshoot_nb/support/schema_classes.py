"""JSON schemas from classes: pydantic models, dataclasses and TypedDicts say what an answer is."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

from overshoot_nb.errors import ValidationError

#: What ``output_schema`` may be: a JSON schema, or a class that has one.
OutputSchema = Mapping[str, Any] | type[Any]

_PLAIN: Mapping[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    dict: {"type": "object"},
    list: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    tuple: {"type": "array"},
    Any: {},
    object: {},
}
_LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection)
_SETS = (set, frozenset, abc.Set)
#: Keywords that say nothing about a value, but belong to a schema; some servers know their own.
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "example", "deprecated", "readOnly"}
    | {"writeOnly", "definitions", "id", "nullable", "discriminator", "xml", "externalDocs"}
    | {"strict", "name", "propertyOrdering"}
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


def schema_from(value: Any, name: str = "output_schema") -> Mapping[str, Any]:
    """The JSON schema that a class stands for; a mapping that is a schema as it is.

    A pydantic class gives its own schema. A dataclass or TypedDict gives an object with a property
    for each field, of the field's type: ``str``, ``int``, ``float``, ``bool``, ``None``, dates,
    ``list``, ``tuple``, ``dict`` with text as keys, ``Literal``, enums, unions, ``Any`` and other
    such classes; ``Annotated[int, "how many"]`` describes it. Fields with a default may be left
    out.

    Args:
        value: the class, or a mapping.
        name: the parameter's name, for messages.

    Raises:
        ValidationError: it is neither, or a mapping without a word of JSON Schema.
    """
    if isinstance(value, Mapping):
        _require_schema(value, name)
        return value
    if not isinstance(value, type) and not typing.is_typeddict(value):
        kind = type(value).__name__
        own = dataclasses.is_dataclass(value) or hasattr(value, "model_json_schema")
        hint = f": give the class {kind} itself, not one of its objects" if own else ""
        raise ValidationError(
            f"{name}={value!r:.100} is not valid: it must be a JSON schema as a mapping, a "
            f"pydantic class, a dataclass or a TypedDict{hint}"
        )
    return _of_class(value, name, {}) or _not_a_class(value, name)


def _not_a_class(value: Any, name: str) -> typing.NoReturn:
    raise ValidationError(
        f"{name}={value.__name__} is not valid: this class says nothing about an answer. Give a "
        "JSON schema as a mapping, a pydantic class, a dataclass or a TypedDict"
    )


def _require_schema(schema: Mapping[str, Any], name: str) -> None:
    """Refuse what a library would pass over: properties that are no keywords of JSON Schema."""
    from jsonschema.validators import Draft4Validator, Draft202012Validator

    keywords = {*Draft4Validator.VALIDATORS, *Draft202012Validator.VALIDATORS, "if"}
    strays = {
        key: inner
        for key, inner in schema.items()
        if isinstance(key, str)
        and key not in keywords | _ANNOTATIONS
        and not key.startswith(("$", "x-"))
    }
    if not schema.keys() & keywords and schema.keys() - {"$schema", "$id", "$comment"}:
        fields = strays or dict(schema)
    else:
        # A property beside "type", where it belongs under "properties".
        misplaced = {key: inner for key, inner in strays.items() if _looks_like_schema(inner)}
        if not misplaced or schema.get("type", "object") != "object":
            return
        fields = misplaced
    field, kind = next(iter(fields.items()))
    kind = kind if isinstance(kind, str) and kind in _TYPES else "string"
    shown = ", ".join(ascii(field)[:50] for field in list(fields)[:5])
    raise ValidationError(
        f"{name} is no JSON schema: {shown} says nothing about an answer. A property is written "
        f'{{"type": "object", "properties": {{"{field}": {{"type": "{kind}"}}}}}}'
    )


def _looks_like_schema(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "type" in value or "enum" in value or "properties" in value
    return isinstance(value, str) and value in _TYPES


# ---- classes -------------------------------------------------------------------------------------


def _of_class(cls: Any, name: str, open_classes: dict[Any, str]) -> dict[str, Any] | None:
    """The schema of a class with fields; None for another one."""
    made = getattr(cls, "model_json_schema", None) or (
        getattr(cls, "schema", None) if hasattr(cls, "__fields__") else None
    )
    if callable(made):
        return _of_pydantic(cls, made, name)
    if dataclasses.is_dataclass(cls):
        fields = {f.name: _has_default(f) for f in dataclasses.fields(cls) if f.init}
    elif typing.is_typeddict(cls):
        fields = {key: key in cls.__optional_keys__ for key in cls.__annotations__}
    else:
        return None
    if cls in open_classes:
        raise ValidationError(
            f"{name}={open_classes[cls]}: a class within itself has no end; write its JSON schema"
        )
    open_classes = {**open_classes, cls: cls.__name__}
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except Exception as error:
        raise ValidationError(
            f"{name}={cls.__name__}: its annotations cannot be read: {error}"
        ) from None
    if typing.is_typeddict(cls):
        # Python does not see these marks where annotations are postponed.
        marks = {field: typing.get_origin(hints[field]) for field in fields}
        fields = {
            field: optional if marks[field] is not typing.NotRequired else True
            for field, optional in fields.items()
        }
        fields |= {field: False for field, mark in marks.items() if mark is typing.Required}
    properties = {
        field: _of_type(hints[field], f"{name}={cls.__name__}: field {field!r}", open_classes)
        for field in fields
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [field for field, optional in fields.items() if not optional],
        "additionalProperties": False,
    }


def _of_pydantic(cls: Any, made: Callable[[], Any], name: str) -> dict[str, Any]:
    try:
        schema = made()
    except Exception as error:  # pydantic's own, which need not be installed
        raise ValidationError(f"{name}={cls.__name__} has no JSON schema: {error}") from None
    if not isinstance(schema, dict):
        raise ValidationError(f"{name}={cls.__name__} has no JSON schema")
    return schema


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _of_type(hint: Any, where: str, open_classes: dict[Any, str]) -> dict[str, Any]:
    """The schema of a field's type."""

    def of(inner: Any) -> dict[str, Any]:
        return _of_type(inner, where, open_classes)

    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Required, typing.NotRequired):
        return of(args[0])
    if origin is typing.Annotated:
        said = next((note for note in args[1:] if isinstance(note, str)), None)
        return of(args[0]) | ({} if said is None else {"description": said})
    try:
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
    except TypeError:  # not hashable, so none of them
        pass
    if origin is typing.Literal:
        return _of_values(list(args))
    if origin in (typing.Union, types.UnionType):
        return _of_union([of(inner) for inner in args])
    if origin in _LISTS or hint in _LISTS:
        return {"type": "array"} | ({"items": of(args[0])} if args else {})
    if origin in _SETS or hint in _SETS:
        return {"type": "array", "uniqueItems": True} | ({"items": of(args[0])} if args else {})
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", "items": of(args[0])}
        count = len(args)
        items = {"prefixItems": [of(inner) for inner in args], "items": False}
        return {"type": "array", **items, "minItems": count, "maxItems": count}
    if origin in (dict, abc.Mapping) and args[0] is str:
        return {"type": "object", "additionalProperties": of(args[1])}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _of_values([member.value for member in hint])
    schema = _of_class(hint, where, open_classes)
    if schema is None:
        raise ValidationError(f"{where} is of the type {hint!r}, which has no JSON schema here")
    # A pydantic class has its definitions beside it, which its references look for at the root.
    if "$defs" in schema:
        raise ValidationError(f"{where}: make the whole a pydantic class, as {hint.__name__} is")
    return schema


def _of_values(values: list[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    plain = _PLAIN[kinds.pop()] if len(kinds) == 1 and kinds <= {str, int, bool, float} else {}
    return {**plain, "enum": values}


def _of_union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    # Every server knows a list of types; not every one knows anyOf.
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}
