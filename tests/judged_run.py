"""A run with rows, later answers and versions, without a stream: what tuning functions take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory, PromptVersion
from overshoot_nb.types import Sample, StreamInferenceResult, Usage

START = datetime(2026, 1, 1, tzinfo=UTC)


def answer(
    sample: int,
    said: Any,
    *,
    version: int = 1,
    stream_id: str = "run-1",
    latency_ms: float = 100.0,
    tokens: int | None = 12,
    cents: float | None = None,
) -> StreamInferenceResult:
    """An answer that can be used: text, or anything else as structured output."""
    text = isinstance(said, str)
    usage = None if tokens is None else Usage(tokens - 2, 2, tokens, cents)
    return StreamInferenceResult(
        id=f"res_{version}_{sample}",
        stream_id=stream_id,
        mode="frame",
        model_name="owner/model",
        prompt="What?",
        result=said if text else orjson.dumps(said).decode(),
        inference_latency_ms=latency_ms,
        total_latency_ms=latency_ms,
        ok=True,
        finish_reason="stop",
        sample=sample,
        media_time=sample / 2,
        prompt_version=version,
        usage=usage,
        output=None if text else said,
    )


def unusable(sample: int, text: str = "HAWK", *, version: int = 1) -> StreamInferenceResult:
    """An answer that was cut off."""
    given = answer(sample, text, version=version)
    return replace(given, ok=False, error="cut off", finish_reason="length")


def failed(sample: int, *, version: int = 1) -> StreamInferenceResult:
    """A request that no answer came to."""
    given = answer(sample, "", version=version, tokens=None)
    return replace(given, ok=False, error="no connection", finish_reason=None)


class JudgedRun:
    """What :class:`overshoot_nb.running.run.Run` asks for, as far as judging needs it.

    Args:
        schemas: the output schema of each version, the first first.
    """

    stream_id = "run-1"
    is_active = False
    settings: Any = None
    service: Any = None

    def __init__(self, *schemas: Any) -> None:
        first, *others = schemas or (None,)
        self.journal = Journal(first, 1 << 20)
        self.prompts = PromptHistory(
            PromptVersion(1, "What?", "owner/model", output_schema=first, created_at=START)
        )
        for number, schema in enumerate(others, 2):
            self.prompts.version_of(text=f"What? ({number})", output_schema=schema)

    def sampled(self, *fates: StreamInferenceResult | str) -> None:
        """Take samples: each has a row, or was dropped with a reason."""
        for fate in fates:
            index = len(self.journal.log)
            self.journal.sampled(Sample(index, "frame", index / 2, START, ()))
            if isinstance(fate, str):
                self.journal.dropped(index, fate, sent=False)
            else:
                assert fate.sample == index
                self.journal.answered(fate)

    def later(self, *results: StreamInferenceResult) -> None:
        """What was asked later."""
        for result in results:
            self.journal.later.put(result)
