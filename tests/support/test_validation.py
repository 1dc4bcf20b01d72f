"""Every range of the API: the ends are accepted, what lies beyond is refused by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from overshoot_nb.errors import ValidationError
from overshoot_nb.support import validation as v
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, InferenceConfig


@pytest.mark.parametrize("value", [1e-6, 0.5, 1, 60, 60.0, np.float64(0.2), np.int64(2)])
def test_intervals_inside_the_range(value: Any) -> None:
    v.check_processing(FrameProcessingConfig(value))


@pytest.mark.parametrize(
    "value", [0, 0.0, -1, 60.0001, math.nan, math.inf, True, "0.5", None, 1 + 2j]
)
def test_intervals_outside_the_range_are_named(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        v.check_processing(FrameProcessingConfig(value))
    message = str(caught.value)
    assert f"interval_seconds={value!r}" in message
    assert "0 < x <= 60" in message
    assert caught.value.status_code is None


@pytest.mark.parametrize(
    ("fps", "length", "delay"),
    [(6, 0.5, 0.5), (1, 3, 0.001), (30, 0.1, 1e6), (1, 60, 60), (np.int64(30), np.float32(0.1), 1)],
)
def test_clips_inside_the_ranges(fps: Any, length: Any, delay: Any) -> None:
    v.check_processing(ClipProcessingConfig(fps, length, delay))


@pytest.mark.parametrize(
    ("fps", "length", "delay", "named"),
    [
        (0, 1, 1, "target_fps=0"),
        (31, 1, 1, "target_fps=31"),
        (6.0, 1, 1, "target_fps=6.0"),
        (True, 1, 1, "target_fps=True"),
        ("6", 1, 1, "target_fps='6'"),
        (30, 0.0999, 1, "clip_length_seconds=0.0999"),
        (30, 60.1, 1, "clip_length_seconds=60.1"),
        (30, math.nan, 1, "clip_length_seconds=nan"),
        (30, 1, 0, "delay_seconds=0"),
        (30, 1, -0.5, "delay_seconds=-0.5"),
        (30, 1, math.inf, "delay_seconds=inf"),
        (30, 1, False, "delay_seconds=False"),
        (2, 1, 1, "is 2 frames a clip"),
        (29, 0.1, 1, "is 2.9 frames a clip"),
    ],
)
def test_clips_outside_the_ranges_are_named(fps: Any, length: Any, delay: Any, named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        v.check_processing(ClipProcessingConfig(fps, length, delay))
    assert named in str(caught.value)
    assert "must be" in str(caught.value)


def test_three_frames_are_counted_exactly() -> None:
    assert 15 * 0.2 != 3 or 10 * 0.3 == 3  # floats agree only by luck
    for fps in range(1, 31):
        exact = round(3 / fps, 6)
        if exact < 0.1 or exact * fps < 3 - 1e-9:
            continue
        v.check_processing(ClipProcessingConfig(fps, exact, 1))
    v.check_processing(ClipProcessingConfig(30, 0.1, 1))
    v.check_processing(ClipProcessingConfig(10, 0.3, 1))
    v.check_processing(ClipProcessingConfig(9, 1 / 3, 1))
    with pytest.raises(ValidationError):
        v.check_processing(ClipProcessingConfig(10, 0.29999999999999993, 1))


def test_something_else_is_no_processing() -> None:
    with pytest.raises(ValidationError, match="processing="):
        v.check_processing({"interval_seconds": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", ["", "  \n", None, 5, b"x", "\ud800"])
def test_prompts_must_have_text(prompt: Any) -> None:
    with pytest.raises(ValidationError, match="prompt="):
        v.check_inference(InferenceConfig(prompt, "m"))


@pytest.mark.parametrize(
    ("inference", "named"),
    [
        (InferenceConfig("p", " "), "model=' '"),
        (InferenceConfig("p", "m", max_output_tokens=0), "max_output_tokens=0"),
        (InferenceConfig("p", "m", max_output_tokens=True), "max_output_tokens=True"),
        (InferenceConfig("p", "m", max_output_tokens=1.5), "max_output_tokens=1.5"),  # type: ignore[arg-type]
        (InferenceConfig("p", "m", backend="openai"), "backend='openai'"),  # type: ignore[arg-type]
        (InferenceConfig("p", "m", {"type": "nonsense"}), "output_schema_json"),
    ],
)
def test_inference_errors_name_the_parameter(inference: InferenceConfig, named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        v.check_inference(inference)
    assert named in str(caught.value)


def test_good_inference() -> None:
    v.check_inference(InferenceConfig("p", "m", {"type": "object"}, 1, "gemini"))


@pytest.mark.parametrize(("tokens", "interval"), [(None, 0.001), (64, 0.5), (128, 1), (25, 0.2)])
def test_token_rates_up_to_128(tokens: int | None, interval: float) -> None:
    v.check_token_rate(tokens, interval)


def test_a_token_rate_above_128_shows_the_arithmetic() -> None:
    with pytest.raises(ValidationError) as caught:
        v.check_token_rate(100, 0.5)
    for part in ("max_output_tokens=100", "0.5 s", "200 tokens a second", "128", "<= 64"):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "30", None])
def test_timeouts(value: Any) -> None:
    with pytest.raises(ValidationError, match="timeout="):
        v.check_timeout(value)


def test_schemas_are_copied_plainly() -> None:
    given: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    copy = v.check_output_schema(given)
    given["properties"]["a"]["type"] = "number"
    assert copy["properties"]["a"]["type"] == "string"


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("object", "mapping"),
        ({"type": "objekt"}, r"\$\.type"),
        ({"properties": {"a": {"minimum": "1"}}}, r"\$\.properties\.a\.minimum"),
        ({"maximum": math.nan}, "JSON"),
        ({"enum": [{1, 2}]}, "JSON"),
        ({"properties": {"a": {"pattern": "("}}}, "pattern"),
        ({"$ref": "https://example.com/schema.json"}, "not in the schema itself"),
        ({"properties": {"a": {"$ref": "#/$defs/missing"}}}, "#/\\$defs/missing"),
    ],
)
def test_wrong_schemas_say_where(schema: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        v.check_output_schema(schema)


def test_references_inside_a_schema_are_fine() -> None:
    v.check_output_schema(
        {"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    )
