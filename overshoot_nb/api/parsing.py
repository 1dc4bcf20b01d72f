"""Reading answers: typed fields, and JSON in a model's text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

import orjson

from overshoot_nb.types import FinishReason, ModelInfo, Usage

from .reply import Promise, Reply

__all__ = ["Fields", "SchemaReader", "finish_reason", "model_list", "usage"]

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
#: Places in a model's prose that are tried as the beginning of its JSON.
MAX_JSON_STARTS = 64


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
                when = datetime.fromisoformat(value)
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
    shown = orjson.dumps(value).decode()
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
        schema: a schema that :func:`overshoot_nb.validation.check_output_schema` accepted.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        cls = validator_for(cast(Any, schema), default=Draft202012Validator)
        # An empty registry: checking an answer fetches nothing.
        self._validator = cls(cast(Any, schema), registry=Registry())

    def read(self, text: str) -> tuple[Any, str | None]:
        """The value that fits the schema and None, or None and why there is none."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            not_json = f"the answer is not JSON: {error}"
        else:
            problem = self._problem(value)
            return (value, None) if problem is None else (None, problem)
        # Not plain JSON: in a fence, or with words around it.
        first_problem: str | None = None
        for value in _embedded_values(text):
            problem = self._problem(value)
            if problem is None:
                return value, None
            first_problem = first_problem or problem
        return None, first_problem or not_json

    def _problem(self, value: Any) -> str | None:
        from jsonschema.exceptions import best_match

        try:
            error = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return "the answer is nested too deeply to be checked"
        if error is None:
            return None
        reason = error.message if len(error.message) <= 200 else error.message[:199] + "…"
        return f"the answer does not fit the schema at {error.json_path}: {reason}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _embedded_values(text: str) -> list[Any]:
    """The JSON objects and arrays that stand in ``text``, outermost only, in order."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    values: list[Any] = []
    position = 0
    for _ in range(MAX_JSON_STARTS):
        starts = [s for s in (text.find("{", position), text.find("[", position)) if s >= 0]
        if not starts:
            break
        start = min(starts)
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
        else:
            values.append(value)
    return values
