"""Asking what a comparison asks: every version about every sample, and nothing twice."""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import NamedTuple

from overshoot_nb.errors import (
    ApiError,
    NetworkError,
    NotFoundError,
    RateLimitError,
    SampleNotKeptError,
    StreamClosedError,
)
from overshoot_nb.running.asker import Asked, Asker, Question, result_of
from overshoot_nb.running.chat_session import FATAL, HOPELESS_AFTER
from overshoot_nb.store.budget import Account
from overshoot_nb.store.fields import is_answer
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import Sample, StreamInferenceResult

from .asking_many import ask_many
from .backfill_work import LOST_AFTER
from .gaps import Gaps
from .pictures import Subject

#: Samples whose pictures are held beside those that are asked about.
RECENT = 4


class Given(NamedTuple):
    """An answer (or why there is none), and whether no request was made for it."""

    result: StreamInferenceResult
    cached: bool


class _Job(NamedTuple):
    """A version, asked for the ``repeat``-th time about a sample."""

    version: PromptVersion
    repeat: int
    sample: int


class _Pictured(NamedTuple):
    """A sample, and what is the same for samples of which a server is sent the same."""

    sample: Sample
    content: Hashable


#: A version's number, the repeat, and the content of a sample.
_Asking = tuple[int, int, Hashable]


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
        # A limit that passes soon was waited for.
        if isinstance(error, (*FATAL, RateLimitError)) or self.failures >= limit:
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
    #: Of the samples of one content: that which is asked about, and others that came meanwhile.
    _first: dict[_Asking, int] = field(default_factory=dict)
    _alike: dict[_Asking, list[tuple[_Job, Sample]]] = field(default_factory=dict)
    _recent: OrderedDict[int, _Pictured] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.missing.update(self.subject.missing)
        self._standing.update((version.version, _Standing()) for version in self.versions)

    @property
    def total(self) -> int:
        """Answers that are wanted."""
        return len(self.subject.media_time) * len(self.versions) * self.repeats

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
        # With many samples it takes a while, which streams on this loop need not wait for.
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
                for sample in self.subject.media_time:
                    result = run.journal.answer(sample, version.version)
                    if result is not None and result.ok:
                        self.answers[version.version, sample, 0] = Given(result, True)

    def _jobs(self) -> list[_Job]:
        """Sample by sample, so that what a budget ends is whole as far as it came."""
        return [
            _Job(version, repeat, sample)
            for sample in self.subject.media_time
            for version in self.versions
            for repeat in range(self.repeats)
            if (version.version, sample, repeat) not in self.answers
        ]

    async def _ask(self, job: _Job, questions: Mapping[int, Question], account: Account) -> None:
        """Ask."""
        standing = self._standing[job.version.version]
        if standing.error is not None:
            return
        try:
            pictured = await self._pictured(job.sample)
        except SampleNotKeptError as error:
            self.missing.setdefault(job.sample, str(error))
            return
        sample = pictured.sample
        asking = job.version.version, job.repeat, pictured.content
        first = self._first.setdefault(asking, job.sample)
        if first != job.sample:
            known = self.answers.get((job.version.version, first, job.repeat))
            if known is not None:
                self._keep_alike(job, known.result, sample)
            else:
                self._alike.setdefault(asking, []).append((job, _without_pictures(sample)))
            return
        outcome: Asked | Exception
        try:
            outcome = await self.asker.ask(
                questions[job.version.version],
                sample,
                result_id=self.subject.result_ids.get(job.sample, ""),
                repeat=job.repeat,
            )
        except (ApiError, NetworkError) as error:
            if self.closed():
                raise StreamClosedError(
                    "the client that was asked is closed", "its client was closed"
                ) from None
            account.failed()
            if self.asker.by_result and isinstance(error, NotFoundError):
                self.missing[job.sample] = str(error)
                return
            standing.failed(error)
            outcome = error
        else:
            standing.failures = 0
            standing.answers += 1
            if not outcome.cached:
                account.answered(outcome.answer.usage)
                if self.gaps is not None:
                    self.gaps.took(outcome.answer.latency_ms / 1e3)
        result = result_of(questions[job.version.version], sample, self._stream_id, outcome)
        self._keep(job, Given(result, isinstance(outcome, Asked) and outcome.cached))
        for other, outline in self._alike.pop(asking, ()):
            self._keep_alike(other, result, outline)

    async def _pictured(self, index: int) -> _Pictured:
        """A sample, of which the last few are held: one version asks about it after the other.

        Raises:
            SampleNotKeptError: it was dropped meanwhile.
        """
        known = self._recent.get(index)
        if known is None:
            # It may be read from the disk, which streams on this loop need not wait for.
            known = await asyncio.to_thread(self._read, index)
            self._recent[index] = known
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return known

    def _read(self, index: int) -> _Pictured:
        sample = self.subject.read(index)
        return _Pictured(sample, index if self.asker.by_result else _content(sample))

    def _keep(self, job: _Job, given: Given) -> None:
        self.answers[job.version.version, job.sample, job.repeat] = given
        self.errors += not given.result.ok

    def _keep_alike(self, job: _Job, known: StreamInferenceResult, sample: Sample) -> None:
        """What was said about other samples of the same pictures was said about this one."""
        result = replace(
            known,
            sample=sample.index,
            media_time=sample.media_time,
            frame_times=tuple(frame.media_time for frame in sample.frames),
            captured_at=sample.captured_at,
        )
        self._keep(job, Given(result, is_answer(result)))

    @property
    def _stream_id(self) -> str:
        return self.subject.run.stream_id if self.subject.run is not None else ""


def _content(sample: Sample) -> bytes:
    """What tells all of a sample that a chat server is sent, in few bytes."""
    digest = blake2b(digest_size=20)
    if sample.video is not None:
        digest.update(b"video")
        digest.update(sample.video)
    else:
        for frame in sample.frames:
            if sample.mode == "clip":
                digest.update(struct.pack("<dQ", frame.media_time, len(frame.data)))
            digest.update(frame.data)
    return digest.digest()


def _without_pictures(sample: Sample) -> Sample:
    return replace(sample, frames=tuple(replace(f, data=b"") for f in sample.frames), video=None)
