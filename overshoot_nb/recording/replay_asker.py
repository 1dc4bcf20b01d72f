"""Answers about stored samples from a recording: its rows, and what was asked later."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from overshoot_nb.errors import ApiError
from overshoot_nb.running.asker import Asked, Question
from overshoot_nb.store.prompts import PromptVersion, asked_as_text
from overshoot_nb.types import ChatAnswer, Sample, StreamInferenceResult

from .recorded_errors import is_failed_request, recorded_error
from .replay_script import PastRun

if TYPE_CHECKING:
    from .replay_service import ReplayService

__all__ = ["RecordedAnswers", "ReplayAsker"]


class RecordedAnswers:
    """What a recorded run says about samples. Any thread may ask.

    Args:
        run: the recorded run.
    """

    def __init__(self, run: PastRun) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._times: dict[tuple[datetime, float], int] | None = None
        self._pictures: dict[bytes, list[int]] | None = None

    def number_of(self, version: PromptVersion) -> int | None:
        """The recorded number of a question, None where it was not asked."""
        asked = asked_as_text(version)
        known = (v.version for v in self._run.prompts if asked_as_text(v) == asked)
        return next(known, None)

    def find(self, version: PromptVersion, sample: Sample) -> StreamInferenceResult | None:
        """The recorded answer about a sample: one of the run's own, or of the same pictures.

        Blocks: pictures are compared where the sample is another run's.
        """
        number = self.number_of(version)
        if number is None:
            return None
        journal = self._run.journal
        found = (journal.answer(index, number) for index in self._indices_of(sample))
        return next((answer for answer in found if answer is not None), None)

    def _indices_of(self, sample: Sample) -> list[int]:
        """The recorded sample that this is, else all that show the same."""
        journal = self._run.journal
        with self._lock:
            if self._times is None:
                # Two samples of a file may be taken in one tick of a coarse clock.
                self._times = {
                    (row.captured_at, row.media_time): row.sample
                    for row in journal.table
                    if row.captured_at is not None
                }
            if (index := self._times.get((sample.captured_at, sample.media_time))) is not None:
                return [index]
            if not sample.frames:
                return []
            if self._pictures is None:
                self._pictures = {}
                for known in journal.frames:
                    stored = journal.frames.get(known)
                    if stored is not None and stored.frames:
                        self._pictures.setdefault(_digest(stored.sample), []).append(known)
            return self._pictures.get(_digest(sample), [])


class ReplayAsker:
    """Answers what was answered in a recording, and nothing else; see ``tuning.asking.Asker``.

    Args:
        service: the recording.
    """

    by_result = False

    def __init__(self, service: ReplayService) -> None:
        self._service = service

    async def prepare(self, version: PromptVersion) -> Question:
        """See ``Asker``.

        Raises:
            ValidationError: the recording has no such question.
        """
        self._service.require_known(version)
        return Question(version, None, None)

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """See ``Asker``.

        Raises:
            ApiError: nobody asked this about the sample when the recording was made.
            OvershootError: the request failed then.
        """
        version, label = question.version, self._service.label
        if repeat:
            raise ApiError(f"the recording {label} has one answer to each question, no repeats")
        found = await asyncio.to_thread(self._service.answers.find, version, sample)
        if found is None:
            raise ApiError(
                f"the recording {label} has no answer to {version.text[:80]!r} ({version.model}) "
                f"about sample {sample.index}"
            )
        if is_failed_request(found):
            raise recorded_error(found.error)
        answer = ChatAnswer(
            id=found.id,
            model=found.model_name,
            content=found.result,
            ok=found.ok,
            error=found.error,
            output=found.output,
            finish_reason=found.finish_reason,
            usage=found.usage,
            latency_ms=found.inference_latency_ms,
            attempts=1,
            reasoning=found.reasoning,
        )
        return Asked(answer, cached=False)  # it counts as it did then


def _digest(sample: Sample) -> bytes:
    digest = hashlib.sha256()
    for frame in sample.frames:
        digest.update(len(frame.data).to_bytes(8, "big"))
        digest.update(frame.data)
    return digest.digest()
