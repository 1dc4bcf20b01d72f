"""``BackfillWork``: asking about many stored samples, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

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
from overshoot_nb.running.run import Run
from overshoot_nb.running.service import Service
from overshoot_nb.running.taken_up import copy_of
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.store.budget import Account
from overshoot_nb.store.fields import is_answer
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import Sample, StreamInferenceResult

from .asking_many import ask_many
from .gaps import Gaps
from .tally import Outcome, Tally

#: A server that answered before is given up after so many failures in a row.
LOST_AFTER = 10


class BackfillWork:
    """Asks one version about the samples of a tally that have no outcome. On the runtime's loop.

    Args:
        run: whose samples.
        version: what to ask.
        tally: the samples, and what became of them.
        asker: whom to ask.
        max_in_flight: requests under way at once.
        closed: whether the server's client was closed.
        gaps: told how long answers take, where ``asker`` waits for them.
    """

    def __init__(
        self,
        run: Run,
        version: PromptVersion,
        tally: Tally,
        asker: Asker,
        *,
        max_in_flight: int,
        closed: Callable[[], bool],
        gaps: Gaps | None = None,
    ) -> None:
        self._journal = run.journal
        self._run = run
        self._version = version
        self._tally = tally
        self._asker = asker
        self._max_in_flight = max_in_flight
        self._closed = closed
        self._gaps = gaps
        self._answers = 0
        self._failures = 0  # in a row

    async def carry_out(self, account: Account) -> str:
        """Ask about all; returns why it stopped before that, or "".

        Args:
            account: what may be spent.

        Raises:
            ValidationError: the version cannot be asked.
            StreamClosedError: the server's client was closed.
            OvershootError: asking on would be in vain.
        """
        self._failures = 0
        question = await self._asker.prepare(self._version)
        # With many samples it takes a while, which the streams of this loop need not wait for.
        waiting = await asyncio.to_thread(self._unanswered)

        async def ask(alike: list[int]) -> list[int] | None:
            first = alike.pop(0)
            await self._ask(question, first, account)
            said = self._journal.answer(first, self._version.version)
            if said is None or not said.ok:
                return alike or None  # another of them is asked about
            for index in alike:
                self._copy(index, said)
            return None

        return await ask_many(waiting, ask, account, self._max_in_flight)

    def _unanswered(self) -> list[list[int]]:
        """The samples to ask about, oldest first: their pictures are the next to go.

        Those that show the very same picture are together: one of them is asked about.
        """
        waiting: dict[int, list[int]] = {}
        for index in self._tally.remaining:
            known = self._journal.answer(index, self._version.version)
            if known is not None and is_answer(known):
                self._keep(index, known, known=True)
                continue
            picture = self._journal.picture_of(index)
            known = self._journal.answer(picture, self._version.version)
            if known is not None and known.ok:
                self._copy(index, known)
                continue
            if not self._asker.by_result and index in self._journal.frames:
                # Without reading it, which may be from the disk.
                waiting.setdefault(picture, []).append(index)
                continue
            try:
                self._sample(index, self._row(index))
            except SampleNotKeptError as gone:
                self._miss(index, self._why_gone(index, gone))
            else:
                waiting.setdefault(picture, []).append(index)
        return list(waiting.values())

    async def _ask(self, question: Question, index: int, account: Account) -> None:
        """Ask about one."""
        row = self._row(index)
        try:
            # It may be read from the disk, which the streams of this loop need not wait for.
            sample = await asyncio.to_thread(self._sample, index, row)
        except SampleNotKeptError as error:
            self._miss(index, self._why_gone(index, error))
            return
        outcome: Asked | Exception
        try:
            outcome = await self._asker.ask(question, sample, result_id=row.id if row else "")
        except (ApiError, NetworkError) as error:
            if self._closed():
                raise StreamClosedError(
                    "the client that was asked is closed", "its client was closed"
                ) from None
            account.failed()
            if self._asker.by_result and isinstance(error, NotFoundError):
                self._miss(index, str(error))
                return
            if isinstance(error, RateLimitError):
                # A limit that passes soon was waited for. No other sample would fare better, and
                # nothing is known of this one.
                raise
            outcome = error
        else:
            self._answered(outcome, account)
        stream_id = row.stream_id if row is not None else self._run.stream_id
        result = result_of(question, sample, stream_id, outcome)
        if row is not None:
            result = replace(result, frame_times=row.frame_times)
        self._keep(index, result, known=isinstance(outcome, Asked) and outcome.cached)
        if isinstance(outcome, Exception):
            self._judge(outcome)

    def _answered(self, asked: Asked, account: Account) -> None:
        if asked.cached:
            return
        if self._gaps is not None:
            self._gaps.took(asked.answer.latency_ms / 1e3)
        account.answered(asked.answer.usage)
        self._answers += 1
        self._failures = 0

    def _judge(self, error: Exception) -> None:
        """Raise ``error`` where no other sample would fare better."""
        self._failures += 1
        limit = LOST_AFTER if self._answers else HOPELESS_AFTER
        if isinstance(error, FATAL) or self._failures >= limit:
            raise error

    def _row(self, index: int) -> StreamInferenceResult | None:
        row = self._journal.log[index].row
        return self._journal.table[row] if row is not None else None

    def _sample(self, index: int, row: StreamInferenceResult | None) -> Sample:
        """The sample; without its pictures where the server has them."""
        if not self._asker.by_result:
            return self._journal.frames[index].sample
        if row is None or row.captured_at is None:
            raise SampleNotKeptError(
                f"sample {index} has no result, and a v0.2 server keeps the pictures of results"
            )
        return Sample(index, row.mode, row.media_time, row.captured_at, ())

    def _why_gone(self, index: int, gone: SampleNotKeptError) -> str:
        if (reason := self._journal.log[index].reason) is not None:
            return f"no picture is kept of sample {index}, which was dropped live: {reason}"
        return str(gone)

    def _keep(self, index: int, result: StreamInferenceResult, *, known: bool) -> None:
        self._journal.later.put(result)
        outcome: Outcome = "unusable" if is_answer(result) else "failed"
        self._tally.settle(index, "answered" if result.ok else outcome, known=known)
        self._journal.touch()

    def _copy(self, index: int, answer: StreamInferenceResult) -> None:
        """Give a sample the answer about another that shows the same."""
        row = self._row(index)
        assert row is not None, "its row says whose picture it shows"
        self._keep(index, copy_of(answer, row), known=True)

    def _miss(self, index: int, why: str) -> None:
        self._tally.miss(index, why)
        self._journal.touch()


def work_for(
    run: Run,
    version: PromptVersion,
    tally: Tally,
    service: Service,
    *,
    max_in_flight: int,
    cache: AnswerCache | None,
) -> BackfillWork:
    """The work of asking a service about the samples of a run.

    Raises:
        ValidationError: nobody can ask that service.
    """
    shared = service.endpoint.is_local and run.service.endpoint.is_local
    gaps = Gaps(run) if shared else None
    asker = service.asker(
        response_format=run.settings.response_format,
        cache=cache,
        turn=gaps.wait if gaps is not None else None,
    )
    return BackfillWork(
        run,
        version,
        tally,
        asker,
        max_in_flight=max_in_flight,
        closed=lambda: service.closed,
        gaps=gaps,
    )


def let_go_of_locals(error: BaseException) -> None:
    """Drop the tracebacks of an error that is kept: their frames hold pictures."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
