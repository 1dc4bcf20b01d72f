"""A sample that was taken up to be asked about, and those after it that show the very same.

Where a file is sampled faster than its frames come, samples show one picture: the first is asked
about, and the others have its answer as rows of their own.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from overshoot_nb.asking.chat import ChatRequest
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import Sample, StreamInferenceResult


@dataclass(frozen=True, slots=True)
class PromptInForce:
    """A prompt version and the request that was prepared for it."""

    version: PromptVersion
    request: ChatRequest


class Outcome:
    """What comes of a sample, for those that show the same."""

    def __init__(self) -> None:
        self._known = asyncio.Event()
        self._answer: StreamInferenceResult | None = None

    def settle(self, answer: StreamInferenceResult | None) -> None:
        """The row that others may copy; nobody copies an error, or what was dropped (None)."""
        self._answer = answer if answer is not None and answer.ok else None
        self._known.set()

    async def answer(self) -> StreamInferenceResult | None:
        """Wait for it; None where there is nothing to copy."""
        await self._known.wait()
        return self._answer


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A sample that was taken up.

    Attributes:
        sample, prompt: what is asked about, and what is asked.
        previous: set when the row before it is there; None where rows come in any order.
        before: what comes of the sample before where that shows the same, else None.
        outcome: what comes of this one.
        turn: set when its row is there, or none will come.
    """

    sample: Sample
    prompt: PromptInForce
    previous: asyncio.Event | None
    before: Outcome | None
    outcome: Outcome = field(default_factory=Outcome)
    turn: asyncio.Event = field(default_factory=asyncio.Event)

    def failed(
        self, stream_id: str, answered_at: datetime, elapsed_ms: float
    ) -> StreamInferenceResult:
        """Its row, without an answer so far."""
        sample, version = self.sample, self.prompt.version
        taken_at = sample.taken_at or sample.captured_at
        return StreamInferenceResult(
            id=f"res_{uuid.uuid4().hex}",
            stream_id=stream_id,
            mode=sample.mode,
            model_name=version.model,
            prompt=version.text,
            result="",
            inference_latency_ms=elapsed_ms,
            total_latency_ms=(answered_at - taken_at).total_seconds() * 1e3,
            ok=False,
            sample=sample.index,
            media_time=sample.media_time,
            frame_times=tuple(frame.media_time for frame in sample.frames),
            captured_at=sample.captured_at,
            answered_at=answered_at,
            prompt_version=version.version,
        )


class SameFrames:
    """Which samples repeat the one that was taken up before them.

    Their ``frames`` are the very same tuple then, which a reader gives them; that of a live source
    never does.

    Args:
        copies: whether any does; else each sample is asked about.
    """

    def __init__(self, *, copies: bool) -> None:
        self._copies = copies
        self._newest: TakenUp | None = None

    def repeats(self, sample: Sample, prompt: PromptInForce) -> bool:
        """Whether a sample shows what the newest one did that was taken up. From any thread."""
        newest = self._newest
        return (
            self._copies
            and newest is not None
            and newest.sample.frames is sample.frames
            and newest.prompt is prompt
        )

    def take_up(
        self, sample: Sample, prompt: PromptInForce, previous: asyncio.Event | None
    ) -> TakenUp:
        """Take up the next sample; ``previous`` is that of the row before it."""
        before = None
        if self._newest is not None and self.repeats(sample, prompt):
            before = self._newest.outcome
        self._newest = TakenUp(sample, prompt, previous, before)
        return self._newest


def copy_of(
    answer: StreamInferenceResult, sample: Sample | StreamInferenceResult
) -> StreamInferenceResult:
    """An answer as the row of another sample (or of its row) that shows the same."""
    index = sample.index if isinstance(sample, Sample) else sample.sample
    first = answer.sample if answer.copied_from is None else answer.copied_from
    return replace(
        answer,
        id=f"res_{uuid.uuid4().hex}",
        inference_latency_ms=math.nan,
        total_latency_ms=math.nan,
        sample=index,
        media_time=sample.media_time,
        captured_at=sample.captured_at,
        answered_at=datetime.now(UTC),
        usage=None,
        copied_from=first,
    )
