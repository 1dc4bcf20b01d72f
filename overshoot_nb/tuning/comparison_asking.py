"""Asking what a comparison asks: every version about every sample, and nothing twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from overshoot_nb.chat_session import FATAL, HOPELESS_AFTER
from overshoot_nb.errors import (
    ApiError,
    NetworkError,
    NotFoundError,
    RateLimitError,
    StreamClosedError,
)
from overshoot_nb.prompts import PromptVersion
from overshoot_nb.types import Sample, StreamInferenceResult

from .asking import Asked, Asker, Question, result_of
from .asking_many import ask_many
from .backfill_work import HOLD_SECONDS, LOST_AFTER, MAX_HOLD_SECONDS
from .budget import Account
from .fields import is_answer
from .gaps import Gaps
from .pictures import Subject

__all__ = ["ComparisonWork", "Given"]


class Given(NamedTuple):
    """An answer (or why there is none), and whether no request was made for it."""

    result: StreamInferenceResult
    cached: bool


class _Job(NamedTuple):
    """A version, asked for the ``repeat``-th time about samples of the same pictures."""

    version: PromptVersion
    repeat: int
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class _Standing:
    """How asking a version goes."""

    answers: int = 0
    failures: int = 0  # in a row
    last: Exception | None = None
    error: Exception | None = None  # asking on would be in vain

    def failed(self, error: Exception) -> None:
        self.failures += 1
        self.last = error
        limit = LOST_AFTER if self.answers else HOPELESS_AFTER
        if isinstance(error, FATAL) or self.failures >= limit:
            self.error = error


@dataclass(slots=True, eq=False)
class ComparisonWork:
    """What is asked, and what came of it so far. Used on the runtime's loop.

    Attributes:
        subject: what is asked about.
        versions: what is asked, each once.
        repeats: how often each question is asked.
        asker: whom to ask.
        closed: whether the server's client was closed.
        gaps: told how long answers take, where ``asker`` waits for them; else None.
        answers: by number of the version, sample and repeat.
        errors: how many of these cannot be used, or did not come.
        missing: samples that nobody can be asked about, and why.
    """

    subject: Subject
    versions: Sequence[PromptVersion]
    repeats: int
    asker: Asker
    closed: Callable[[], bool]
    gaps: Gaps | None = None
    answers: dict[tuple[int, int, int], Given] = field(default_factory=dict)
    errors: int = 0
    missing: dict[int, str] = field(default_factory=dict)
    _standing: dict[int, _Standing] = field(default_factory=dict)
    _paused_until: float = 0.0  # monotonic

    def __post_init__(self) -> None:
        self.missing.update(self.subject.missing)
        self._standing.update((version.version, _Standing()) for version in self.versions)

    @property
    def total(self) -> int:
        """Answers that are wanted."""
        return len(self.subject.samples) * len(self.versions) * self.repeats

    async def carry_out(
        self, account: Account, max_in_flight: int, *, known: bool
    ) -> tuple[str, ...]:
        """Ask; returns why not all was asked, each reason once.

        Args:
            account: what may be spent.
            max_in_flight: requests under way at once.
            known: take answers that the run has already.

        Raises:
            ValidationError: a version cannot be asked.
            StreamClosedError: the server's client was closed.
            OvershootError: nothing was answered at all.
        """
        questions = {v.version: await self.asker.prepare(v) for v in self.versions}
        # With many pictures it takes a while, which streams on this loop need not wait for.
        jobs = await asyncio.to_thread(self._open_jobs, known)
        stopped = await ask_many(
            jobs, lambda job: self._ask(job, questions, account), account, max_in_flight
        )
        given_up = [s.error for s in self._standing.values() if s.error is not None]
        failures = [s.last for s in self._standing.values() if s.last is not None]
        if failures and not any(is_answer(given.result) for given in self.answers.values()):
            raise (given_up or failures)[0]
        return tuple(dict.fromkeys([*([stopped] if stopped else []), *map(str, given_up)]))

    def _open_jobs(self, known: bool) -> list[_Job]:
        if known:
            self._take_known()
        return self._jobs()

    def _take_known(self) -> None:
        run = self.subject.run
        if run is None:
            return
        # Not by their numbers: the run may have given that of a version that is asked here alone
        # to another one since.
        own = set(map(id, run.prompts))
        for version in self.versions:
            if id(version) in own:
                for sample in self.subject.samples:
                    result = run.journal.answer(sample.index, version.version)
                    if result is not None and result.ok:
                        self.answers[version.version, sample.index, 0] = Given(result, True)

    def _jobs(self) -> list[_Job]:
        """Sample by sample, so that what a budget ends is whole as far as it came."""
        alike: dict[Hashable, list[Sample]] = {}
        for sample in self.subject.samples:
            content = sample.index if self.asker.by_result else _content(sample)
            alike.setdefault(content, []).append(sample)
        jobs = []
        for samples in alike.values():
            for version in self.versions:
                for repeat in range(self.repeats):
                    open_ = [
                        sample
                        for sample in samples
                        if (version.version, sample.index, repeat) not in self.answers
                    ]
                    if open_:
                        jobs.append(_Job(version, repeat, tuple(open_)))
        return jobs

    async def _ask(
        self, job: _Job, questions: Mapping[int, Question], account: Account
    ) -> float | None:
        """Ask; returns the seconds to wait where the server wants to be left alone for a while."""
        number = job.version.version
        standing = self._standing[number]
        first = job.samples[0]
        if standing.error is not None or first.index in self.missing:
            return None
        outcome: Asked | Exception
        try:
            outcome = await self.asker.ask(
                questions[number],
                first,
                result_id=self.subject.result_ids.get(first.index, ""),
                repeat=job.repeat,
            )
        except (ApiError, NetworkError) as error:
            if self.closed():
                raise StreamClosedError(
                    "the client that was asked is closed", "its client was closed"
                ) from None
            account.failed()
            if self.asker.by_result and isinstance(error, NotFoundError):
                self.missing[first.index] = str(error)
                return None
            if isinstance(error, RateLimitError):
                pause = self._pause(standing, error)
                if standing.error is None:
                    return pause
            else:
                standing.failed(error)
            outcome = error
        else:
            standing.failures = 0
            standing.answers += 1
            if not outcome.cached:
                account.answered(outcome.answer.usage)
                if self.gaps is not None:
                    self.gaps.took(outcome.answer.latency_ms / 1e3)
        for k, sample in enumerate(job.samples):
            result = result_of(questions[number], sample, self._stream_id, outcome)
            cached = isinstance(outcome, Asked) and (k > 0 or outcome.cached)
            self.answers[number, sample.index, job.repeat] = Given(result, cached)
            self.errors += not result.ok
        return None

    def _pause(self, standing: _Standing, error: RateLimitError) -> float:
        """Seconds for which nothing is asked: the limit is that of a live stream, too."""
        now = time.monotonic()
        if now >= self._paused_until:  # else those under way were refused along with it
            standing.failed(error)
            pause = error.retry_after or HOLD_SECONDS * 2.0 ** (standing.failures - 1)
            self._paused_until = now + min(pause, MAX_HOLD_SECONDS)
        return self._paused_until - now

    @property
    def _stream_id(self) -> str:
        return self.subject.run.stream_id if self.subject.run is not None else ""


def _content(sample: Sample) -> Hashable:
    """All of a sample that a chat server is sent."""
    if sample.video is not None:
        return sample.video
    if sample.mode == "frame":
        return sample.frames[0].data
    return tuple((frame.media_time, frame.data) for frame in sample.frames)
