"""Reading answers: typed fields, and JSON in a model's text."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

import orjson

from overshoot_nb.types import FinishReason, ModelInfo, Usage

from .reply import Promise, Reply, without_surrogates

logger = logging.getLogger("overshoot_nb")

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
}
_MODEL_NAMES = ("id", "model", "name")
_NOT_READY = frozenset({"loading", "saturated", "unavailable"})
#: Characters that are read, in a model's prose, from places that are no beginning of its JSON.
MAX_EFFORT = 1024 * 1024
#: Values in it, the last ones, that are held against the schema.
MAX_VALUES = 256


class Fields:
    """One JSON object of an answer, read by field. Fields that nobody asks for are ignored.

    Args:
        reply: the answer, for messages.
        value: the object.
        where: its name within the answer, empty for the whole.

    Raises:
        ServerError: ``value`` is not an object, or a field is missing or of another type; the
            message names the field.
    """

    __slots__ = ("_reply", "_value", "_where")

    def __init__(self, reply: Promise, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            what = f"the field {where!r}" if where else "the answer"
            raise reply.nonsense(f"{what} is {_kind(value)}, not an object")
        self._reply = reply
        self._value: dict[str, Any] = value
        self._where = f"{where}." if where else ""

    def _wrong(self, name: str, expected: str) -> NoReturn:
        found = _kind(self._value.get(name)) if name in self._value else "missing"
        raise self._reply.nonsense(f"the field '{self._where}{name}' is {found}, not {expected}")

    def raw(self, name: str) -> Any:
        """The field as it came, None when absent."""
        return self._value.get(name)

    def text(self, name: str) -> str:
        """A string."""
        value = self._value.get(name)
        return value if isinstance(value, str) else self._wrong(name, "text")

    def text_or_none(self, name: str) -> str | None:
        """A string, or None when absent or null."""
        return None if self._value.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, or one string."""
        value = self._value.get(name)
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self._wrong(name, "a list of texts")
        return tuple(values)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._value.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        return self._wrong(name, "a number")

    def number_or_none(self, name: str) -> float | None:
        """A finite number, or None when absent or null."""
        return None if self._value.get(name) is None else self.number(name)

    def integer_or_none(self, name: str) -> int | None:
        """A whole number, or None when absent or null."""
        value = self.number_or_none(name)
        if value is None:
            return None
        return int(value) if value.is_integer() else self._wrong(name, "a whole number")

    def boolean(self, name: str) -> bool:
        """True or False."""
        value = self._value.get(name)
        return value if isinstance(value, bool) else self._wrong(name, "true or false")

    def time_or_none(self, name: str) -> datetime | None:
        """A time in UTC, from ISO 8601 text or epoch seconds; None when absent or null."""
        value = self._value.get(name)
        try:
            if value is None:
                return None
            if isinstance(value, str):
                when = datetime.fromisoformat(value.upper())  # RFC 3339 allows small t and z
                return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
            return datetime.fromtimestamp(self.number(name), UTC)
        except (ValueError, OverflowError, OSError):
            return self._wrong(name, "a time")

    def object_or_none(self, name: str) -> Fields | None:
        """An object, or None when absent or null."""
        value = self._value.get(name)
        return None if value is None else Fields(self._reply, value, f"{self._where}{name}")

    def mapping_or_none(self, name: str) -> dict[str, Any] | None:
        """An object as it came, or None when absent or null."""
        fields = self.object_or_none(name)
        return None if fields is None else fields._value

    def objects(self, name: str) -> list[Fields]:
        """A list of objects; empty when absent or null."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, "a list")
        return [Fields(self._reply, v, f"{self._where}{name}[{i}]") for i, v in enumerate(value)]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def finish_reason(value: Any) -> FinishReason | None:
    """One of our reasons, or None for one that is not known."""
    return _FINISH_REASONS.get(value.lower()) if isinstance(value, str) else None


def usage(value: Any) -> Usage | None:
    """Token counts, or None when the server does not report them, or not as numbers."""
    if not isinstance(value, dict):
        return None
    counts = [value.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    known = [
        c if isinstance(c, int) and not isinstance(c, bool) and c >= 0 else None for c in counts
    ]
    prompt, completion, total = known
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    total = total if total is not None else prompt + completion
    return Usage(prompt, completion, total, _cents(value.get("cost")))


def _cents(dollars: Any) -> float | None:
    """OpenRouter says ``usage.cost``, in US dollars; most servers say nothing."""
    known = isinstance(dollars, int | float) and not isinstance(dollars, bool)
    return float(dollars) * 100 if known and 0 <= dollars < math.inf else None


def model_list(reply: Reply) -> list[ModelInfo]:
    """The models of a ``GET /models`` answer, of either surface or another server's.

    Raises:
        ServerError: the answer is not a list of models.
    """
    value = reply.json()
    if isinstance(value, dict):
        value = next((value[name] for name in ("data", "models") if name in value), value)
    if value is None:
        return []
    if not isinstance(value, list):
        raise reply.nonsense("the answer is not a list of models")
    models = []
    for item in value:
        entry = {"id": item} if isinstance(item, str) else item
        if not isinstance(entry, dict):
            raise reply.nonsense(f"the list of models has {_kind(item)} in it")
        name = next((n for key in _MODEL_NAMES if isinstance(n := entry.get(key), str) and n), None)
        if name is None:
            raise reply.nonsense("the list of models has an entry without a name")
        status = entry.get("status")
        # Other servers report no status, or mean something else by it.
        status = status if isinstance(status, str) else "ready"
        ready = entry.get("ready")
        if not isinstance(ready, bool):
            ready = status not in _NOT_READY
        models.append(ModelInfo(name, ready, status))
    return models


class SchemaReader:
    """Finds the JSON in a model's answer and checks it against a schema, compiled once.

    Args:
        schema: a schema that :func:`overshoot_nb.support.validation.check_output_schema` accepted.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        cls = validator_for(cast(Any, schema), default=Draft202012Validator)
        # An empty registry: checking an answer fetches nothing.
        self._validator = cls(cast(Any, schema), registry=Registry())

    def read(self, text: str) -> tuple[Any, str | None]:
        """The value that fits the schema and None, or None and why there is none.

        In a text that is not JSON as a whole, the last value that fits counts: what comes before
        leads up to it.
        """
        try:
            value = _value_in(text)
        except (ValueError, RecursionError) as error:
            not_json = f"the answer is not JSON: {error}"
        else:
            problem = self._problem(value)
            return (value, None) if problem is None else (None, problem)
        # Not plain JSON: in a fence, or with words around it.
        last_problem: str | None = None
        for value in reversed(_embedded_values(text)):
            problem = self._problem(value)
            if problem is None:
                return value, None
            last_problem = last_problem or problem
        return None, last_problem or not_json

    def _problem(self, value: Any) -> str | None:
        from jsonschema.exceptions import best_match

        try:
            error = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return "the answer is nested too deeply to be checked"
        except Exception as stumble:
            # Validators stumble over references that are none, and numbers without end.
            logger.warning("an answer could not be checked", exc_info=True)
            return f"the answer could not be checked: {stumble}"
        if error is None:
            return None
        reason = error.message if len(error.message) <= 200 else error.message[:199] + "…"
        return f"the answer does not fit the schema at {error.json_path}: {reason}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is beyond all numbers")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, strict=False)
#: orjson makes floats of such integers.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_BRACKET = re.compile(r"[\[{]")
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*([\w+-]*)(.*?)(?:\1|\Z)", re.DOTALL)


def _value_in(text: str) -> Any:
    """The JSON value that a text is.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    text = text.lstrip("\ufeff")
    if _LONG_NUMBER.search(text) is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            if not any(sign in text for sign in ("\\u", "N", "I")):
                raise
    # Lone surrogates are read, and integers exactly; NaN and its like are named.
    try:
        return without_surrogates(_DECODER.decode(text.strip()))
    except json.JSONDecodeError as error:
        raise ValueError(str(error)) from None


def _embedded_values(text: str) -> list[Any]:
    """The JSON objects and arrays that stand in ``text``, outermost only, and fenced scalars.

    In the order of their ends.
    """
    found: list[tuple[int, Any]] = []
    for fence in _FENCE.finditer(text):
        inside = fence[3].strip() or fence[2]
        if not inside.startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):
                found.append((fence.end(3), _value_in(inside)))
    position, effort = 0, MAX_EFFORT
    while effort > 0:
        if (bracket := _BRACKET.search(text, position)) is None:
            break
        start = bracket.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            effort -= error.pos - start + start // 256 + 64  # it counts the lines before
            position = start + 1
        except (ValueError, RecursionError):
            effort -= 4_096
            position = start + 1
        else:
            with contextlib.suppress(RecursionError):
                found.append((position, without_surrogates(value)))
    found.sort(key=lambda pair: pair[0])
    return [value for _, value in found[-MAX_VALUES:]]
