"""The values that messages and traits are made of, as ``js/src/messages.ts`` has them."""

from __future__ import annotations

from typing import TypedDict

from overshoot_nb.types import Mode


class Settings(TypedDict):
    """What a stream is asked to do."""

    mode: Mode
    model: str
    interval_seconds: float | None
    target_fps: int | None
    clip_length_seconds: float | None
    delay_seconds: float | None
    output_schema: str | None
    max_output_tokens: int | None


class Figures(TypedDict):
    """Counts of this moment."""

    samples: int
    results: int
    errors: int
    drops: dict[str, int]
    waiting: int
    in_flight: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    total_tokens: int
    completion_tokens: int
    cost_cents: float | None


class Row(TypedDict):
    """One answer."""

    row: int
    id: str
    sample: int
    media_time: float
    at: float
    ok: bool
    text: str
    cut: bool
    chips: list[tuple[str, str]] | None
    error: str | None
    latency_ms: float | None
    tokens: int | None
    version: int


class PromptVersion(TypedDict):
    """A prompt that ran."""

    version: int
    text: str
    model: str
    output_schema: str | None
    max_output_tokens: int | None
    at: float


class ModelInfo(TypedDict):
    """A model and whether it can be asked."""

    model: str
    ready: bool
    status: str


class Range(TypedDict):
    """Allowed numbers."""

    low: float
    high: float | None
    open: bool
    whole: bool
    default: float | None


class Limits(TypedDict):
    """The allowed numbers of every setting."""

    interval_seconds: Range
    target_fps: Range
    clip_length_seconds: Range
    delay_seconds: Range
    max_output_tokens: Range
    min_clip_frames: int


class Problem(TypedDict):
    """A failure, and what can be done."""

    message: str
    advice: str
