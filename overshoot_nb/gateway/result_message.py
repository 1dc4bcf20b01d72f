"""One result as the server pushed it, and reading it from a WebSocket's text."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from overshoot_nb.asking.parsing import Fields, finish_reason
from overshoot_nb.asking.reasoning import field_reasoning, joined_reasoning, split_reasoning
from overshoot_nb.asking.reply import read_json
from overshoot_nb.errors import ServerError
from overshoot_nb.types import FinishReason, Mode

#: How much is kept of a message that cannot be read.
MAX_UNREAD_CHARS: Final = 4_096
_MODES: Final[dict[str, Mode]] = {"frame": "frame", "clip": "clip"}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ResultMessage:
    """One pushed result.

    A message that cannot be read is one too: ``ok`` is False, ``result`` the message as it came
    (its first 4,096 characters), ``error`` says what is wrong with it.

    Attributes:
        id: the server's; one of our own for a message without, the same for the same text.
        mode: "frame" or "clip"; None where the server does not say.
        model_name, prompt: "" where the server does not say.
        result: the answer's text, without reasoning; JSON text when a schema was given.
        inference_latency_ms, total_latency_ms: the server's measures; 0.0 where it has none.
        ok: False when the inference failed, or its answer does not fit the schema.
        error: why ``ok`` is False.
        finish_reason: None for one that is not known.
        created_at: UTC, when the server made the result, where it says so.
        received_at: UTC, when it arrived here.
        received_monotonic: the same as ``time.monotonic()``, which nobody sets.
        reasoning: what the model thought before its answer; it is no part of ``result``.
    """

    id: str
    stream_id: str
    mode: Mode | None
    model_name: str
    prompt: str
    result: str
    inference_latency_ms: float
    total_latency_ms: float
    ok: bool
    error: str | None = None
    finish_reason: FinishReason | None = None
    created_at: datetime | None = None
    received_at: datetime = field(default_factory=_now)
    received_monotonic: float = field(default_factory=time.monotonic)
    reasoning: str | None = None


def read_result(text: str, stream_id: str, hide: Callable[[str], str] = str) -> ResultMessage:
    """Read one message of a result channel. Raises nothing.

    Needed are ``id`` (text or a whole number), ``result`` (text; may be null when not ok) and
    ``ok``. Anything else may be absent or null, but not of another type; latencies may be
    numbers written as text. Fields that are not documented are ignored.

    Args:
        text: the message.
        stream_id: of the stream, for messages that do not say theirs.
        hide: takes secrets out of a message that cannot be read.
    """
    value, problem = None, ""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        problem = f"the message is not JSON ({error})"
        try:
            value = read_json(text)
        except (ValueError, RecursionError):
            return _unread(text, None, problem, stream_id, hide)
    try:
        return _read(Fields(_Pushed(), value), stream_id)
    except ServerError as error:
        return _unread(text, value, problem or error.message, stream_id, hide)


class _Pushed:
    """A message, as far as `Fields` is concerned."""

    def nonsense(self, what: str) -> ServerError:
        return ServerError(what)


def _read(fields: Fields, stream_id: str) -> ResultMessage:
    ok = fields.boolean("ok")
    said = fields.text("result") if ok else fields.text_or_none("result") or ""
    result, reasoning = split_reasoning(said)
    return ResultMessage(
        id=_id(fields),
        stream_id=fields.text_or_none("stream_id") or stream_id,
        mode=_MODES.get(fields.text_or_none("mode") or ""),
        model_name=fields.text_or_none("model_name") or "",
        prompt=fields.text_or_none("prompt") or "",
        result=result,
        inference_latency_ms=_milliseconds(fields, "inference_latency_ms"),
        total_latency_ms=_milliseconds(fields, "total_latency_ms"),
        ok=ok,
        error=fields.text_or_none("error"),
        finish_reason=finish_reason(fields.raw("finish_reason")),
        created_at=_created_at(fields),
        reasoning=joined_reasoning(field_reasoning(fields.raw), reasoning),
    )


def _id(fields: Fields) -> str:
    given = _id_or_none(fields.raw("id"))
    if given is None:
        fields.text("id")  # says what it is instead
        raise ServerError("the field 'id' is empty")
    return given


def _id_or_none(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _milliseconds(fields: Fields, name: str) -> float:
    value = fields.raw(name)
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
    return fields.number_or_none(name) or 0.0


def _created_at(fields: Fields) -> datetime | None:
    try:
        return fields.time_or_none("created_at")
    except ServerError:
        return None  # not documented: another server may mean something else by it


def _unread(
    text: str, value: Any, problem: str, stream_id: str, hide: Callable[[str], str]
) -> ResultMessage:
    # It is known again when it is sent again: by the server's id, or else by its text.
    given = _id_or_none(value.get("id")) if isinstance(value, dict) else None
    return ResultMessage(
        id=given
        or f"unread-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}",
        stream_id=stream_id,
        mode=None,
        model_name="",
        prompt="",
        result=hide(text)[:MAX_UNREAD_CHARS],
        inference_latency_ms=0.0,
        total_latency_ms=0.0,
        ok=False,
        error=f"a message of the server cannot be read: {hide(problem)}",
    )
