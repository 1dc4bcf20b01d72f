"""The API's ranges, checked before anything is sent or started.

Every ``check`` returns None (or the checked value) and raises :class:`ValidationError` that names
the parameter, its value and its range.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any, NoReturn

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.types import (
    ClipProcessingConfig,
    FrameProcessingConfig,
    InferenceConfig,
    ProcessingConfig,
)

from .schema_classes import OutputSchema, schema_from


def exact(number: float) -> Fraction:
    """The fraction that is meant by a positive number of seconds, or of frames a second.

    Python's 1/3 is less than a third, and so are its digits: on a grid of either, every third
    tick would be just before its frame. What is within 1e-12 of a fraction with a denominator of
    at most a million is that fraction (1/3, 1001/30000, 0.1 * 3); else the digits are meant.
    """
    if isinstance(number, Rational):
        return Fraction(int(number.numerator), int(number.denominator))  # numpy's overflow
    value = float(number)
    # No two floats beyond 16,384 are as close as that; a tiny number is not nothing.
    most, within = 10**6, max(1e-12 * min(1.0, 1e6 * value), 4 * math.ulp(value))
    if not isinstance(number, float):  # one of numpy's, of 32 bits
        most, within = 1000, 2**-24 * value
    meant = Fraction(value).limit_denominator(most)
    return meant if abs(meant - Fraction(value)) <= within else Fraction(str(number))


def _refuse(name: str, value: object, allowed: str) -> NoReturn:
    shown = repr(value)
    if len(shown) > 100:
        shown = shown[:99] + "…"
    raise ValidationError(f"{name}={shown} is not valid: it must be {allowed}")


def _is_number(value: object) -> bool:
    # bool is an int to Python; here it is a mistake.
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Check a parameter that is one of a few words.

    Raises:
        ValidationError: it is none of them.
    """
    if value not in choices:
        _refuse(name, value, f"one of {', '.join(map(repr, choices))}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Check a whole number.

    Raises:
        ValidationError: it is none, or out of its range.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if not whole:
        _refuse(name, value, f"a whole number from {low} to {high}")


def check_jpeg_quality(quality: object) -> None:
    """Check a JPEG quality, 1 to 100.

    Raises:
        ValidationError: it is no whole number in that range.
    """
    check_whole("jpeg_quality", quality, 1, 100)


def check_max_size(size: object) -> tuple[int, int]:
    """The (width, height) in pixels that pictures are fitted into.

    Raises:
        ValidationError: it is no pair of whole numbers from 16 to 8192.
    """
    pair = tuple(size) if isinstance(size, tuple | list) else ()
    if len(pair) != 2 or not all(_is_integer(side) and 16 <= side <= 8192 for side in pair):
        _refuse("max_size", size, "(width, height), two whole numbers from 16 to 8192")
    return pair[0], pair[1]


def check_processing(processing: ProcessingConfig) -> None:
    """Check a frame or clip configuration.

    Raises:
        ValidationError: a value is out of its range, or a clip has fewer than 3 frames.
    """
    if isinstance(processing, FrameProcessingConfig):
        _check_interval(processing.interval_seconds)
    elif isinstance(processing, ClipProcessingConfig):
        _check_clip(processing)
    else:
        _refuse("processing", processing, "a FrameProcessingConfig or a ClipProcessingConfig")


def _check_interval(interval: float) -> None:
    low, high = config.INTERVAL_RANGE
    if not _is_number(interval) or not low < interval <= high:
        _refuse("interval_seconds", interval, f"a number of seconds, {low:g} < x <= {high:g}")


def _check_clip(clip: ClipProcessingConfig) -> None:
    fps_low, fps_high = config.TARGET_FPS_RANGE
    if not _is_integer(clip.target_fps) or not fps_low <= clip.target_fps <= fps_high:
        _refuse("target_fps", clip.target_fps, f"an integer, {fps_low} <= x <= {fps_high}")
    low, high = config.CLIP_LENGTH_RANGE
    length = clip.clip_length_seconds
    if not _is_number(length) or not low <= length <= high:
        _refuse("clip_length_seconds", length, f"a number of seconds, {low:g} <= x <= {high:g}")
    if not _is_number(clip.delay_seconds) or clip.delay_seconds <= 0:
        _refuse("delay_seconds", clip.delay_seconds, "a finite number of seconds, x > 0")
    # 9 x 1/3 is 3 frames, of which digits are a hair short; floats that are short stay so.
    frames = int(clip.target_fps) * exact(length)
    least = config.MIN_CLIP_FRAMES
    if frames < least or clip.target_fps * length < least:
        raise ValidationError(
            f"target_fps={clip.target_fps} x clip_length_seconds={length} is {float(frames):g} "
            f"frames a clip: it must be at least {least}"
        )


def check_inference(inference: InferenceConfig) -> None:
    """Check prompt, model, output limit, schema and backend.

    Raises:
        ValidationError: a value is empty, out of its range, or no valid JSON schema.
    """
    if not isinstance(inference, InferenceConfig):
        _refuse("inference", inference, "an InferenceConfig")
    check_text("prompt", inference.prompt)
    check_text("model", inference.model)
    check_max_output_tokens(inference.max_output_tokens)
    if inference.output_schema_json is not None:
        check_output_schema(inference.output_schema_json, "output_schema_json")
    if inference.backend not in (None, "overshoot", "gemini"):
        _refuse("backend", inference.backend, 'None, "overshoot" or "gemini"')


def check_text(name: str, value: str) -> None:
    """Check that ``value`` (a prompt, a model's name, an id) is text with something in it.

    Raises:
        ValidationError: it is not a string, is blank, or cannot be written as UTF-8.
    """
    if not isinstance(value, str) or not value.strip():
        _refuse(name, value, "text that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(name, value, "text that can be written as UTF-8 (it has a lone surrogate)")


def check_max_output_tokens(max_output_tokens: int | None, name: str = "max_output_tokens") -> None:
    """Check that the output limit is None or a positive integer.

    Raises:
        ValidationError: it is something else.
    """
    value = max_output_tokens
    if value is not None and (not _is_integer(value) or value < 1):
        _refuse(name, value, "None or an integer, x >= 1")


def check_token_rate(max_output_tokens: int | None, interval: float) -> None:
    """Check v0.2's limit on output tokens a second; ``interval`` in seconds.

    The interval is ``interval_seconds`` in frame mode and ``delay_seconds`` in clip mode.

    Raises:
        ValidationError: ``max_output_tokens / interval`` is above 128.
    """
    if max_output_tokens is None:
        return
    limit = config.MAX_TOKENS_PER_SECOND
    rate = int(max_output_tokens) / exact(interval)
    if rate > limit:
        most = math.floor(limit * exact(interval))
        raise ValidationError(
            f"max_output_tokens={max_output_tokens} / interval {interval:g} s = {float(rate):g} "
            f"tokens a second: at most {limit} are allowed. At this interval "
            f"max_output_tokens must be <= {most}; for this limit the interval must be >= "
            f"{max_output_tokens / limit:g} s"
        )


def check_temperature(temperature: float) -> float:
    """Check that ``temperature`` is a number in 0..2, and return it as float.

    Raises:
        ValidationError: it is something else.
    """
    if not _is_number(temperature) or not 0 <= temperature <= 2:
        _refuse("temperature", temperature, "a number, 0 <= x <= 2")
    return float(temperature)


def check_system(system: str | None) -> None:
    """Check that the text of a system message is None, or text with something in it.

    Raises:
        ValidationError: it is something else.
    """
    if system is not None:
        check_text("system", system)


#: Fields of a request's body that are written here, and the parameter that decides each.
_OWN_FIELDS: Mapping[str, str] = {
    "model": "model",
    "messages": "prompt (and system, for a system message)",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "temperature": "temperature",
    "response_format": "output_schema and response_format",
}
#: Those that no parameter decides, and why.
_REFUSED_FIELDS: Mapping[str, str] = {
    "thread_id": "it is the stream's own id, so that its requests share the prompt cache",
    "stream": "answers are read whole",
    "stream_options": "answers are read whole",
    "n": "one answer is asked for about each sample",
}


def check_extra_body(extra_body: Mapping[str, Any], name: str = "extra_body") -> dict[str, Any]:
    """Check further fields of a request's body, and return a plain copy of them.

    Args:
        extra_body: names of fields and values that JSON can hold, such as ``{"seed": 7}``.
        name: the parameter's name, for messages.

    Raises:
        ValidationError: it is no mapping, cannot be written as JSON, or names a field that a
            parameter decides; the message names that parameter.
    """
    if not isinstance(extra_body, Mapping):
        _refuse(name, extra_body, 'a mapping of fields, such as {"seed": 7}')
    for field in extra_body:
        if not isinstance(field, str) or not field:
            _refuse(f"{name}'s field", field, "a name, as text that is not empty")
        if (parameter := _OWN_FIELDS.get(field)) is not None:
            raise ValidationError(f"{name} has the field {field!r}: give it as {parameter}")
        if (why := _REFUSED_FIELDS.get(field)) is not None:
            raise ValidationError(f"{name} has the field {field!r}, which is not yours: {why}")
    try:
        text = json.dumps(dict(extra_body), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"{name} cannot be written as JSON: {error}") from None
    plain: dict[str, Any] = json.loads(text)
    return plain


#: RFC 9110, section 5.6.2.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def header_refusal(name: object, text: object) -> str | None:
    """Why a header field cannot be sent, in words that do not show its value; None if it can."""
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        return "this is no name of a header field"
    if not isinstance(text, str):
        return f"its value must be text, not {type(text).__name__}"
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        return "its value has characters that a header cannot carry, or spaces around it"
    return None


def check_timeout(timeout: float) -> float:
    """Check that ``timeout`` is a positive, finite number of seconds, and return it as float.

    Raises:
        ValidationError: it is something else.
    """
    if not _is_number(timeout) or timeout <= 0:
        _refuse("timeout", timeout, "a finite number of seconds, x > 0")
    return float(timeout)


def check_max_wait(max_wait: float) -> float:
    """Check that ``max_wait`` is a finite number of seconds, 0 or more, and return it as float.

    Raises:
        ValidationError: it is something else.
    """
    if not _is_number(max_wait) or max_wait < 0:
        _refuse("max_wait", max_wait, "a finite number of seconds, x >= 0")
    return float(max_wait)


def check_answer_bytes(max_answer_bytes: int) -> int:
    """Check that ``max_answer_bytes`` is a positive integer, and return it.

    Raises:
        ValidationError: it is something else.
    """
    if not _is_integer(max_answer_bytes) or max_answer_bytes < 1:
        _refuse("max_answer_bytes", max_answer_bytes, "an integer, x >= 1")
    return int(max_answer_bytes)


def check_output_schema(schema: OutputSchema, name: str = "output_schema") -> dict[str, Any]:
    """Check a JSON schema with the ``jsonschema`` library, and return a plain copy of it.

    The copy is what is sent and what answers are checked against: later changes of the caller's
    object do not reach it.

    Args:
        schema: a JSON schema; draft 2020-12 unless its ``$schema`` says otherwise. Or a class, as
            :func:`overshoot_nb.support.schema_classes.schema_from` takes it.
        name: the parameter's name, for messages.

    Raises:
        ValidationError: no schema, not JSON, not a valid schema (the message says where), or
            it refers to something outside itself.
    """
    found = schema_from(schema, name)
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(found), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"{name} cannot be written as JSON: {error}") from None

    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    try:
        validator_for(plain, default=Draft202012Validator).check_schema(plain)
    except SchemaError as error:
        raise ValidationError(
            f"{name} is not a valid JSON schema at {error.json_path}: {error.message}"
        ) from None
    except RecursionError:
        raise ValidationError(f"{name} is nested too deeply") from None
    _check_references(plain, name)
    return plain


def _check_references(schema: dict[str, Any], name: str) -> None:
    """Nothing is ever fetched to check an answer, so every ``$ref`` must resolve inside."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    base = root.id() or ""
    resolver = Registry().with_resource(base, root).resolver(base)
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            ref = node.get("$ref")
            if isinstance(ref, str):
                try:
                    resolver.lookup(ref)
                except Unresolvable:
                    raise ValidationError(
                        f"{name} refers to {ref!r}, which is not in the schema itself"
                    ) from None
