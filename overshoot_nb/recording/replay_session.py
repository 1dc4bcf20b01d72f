"""A session that makes a recorded run happen again; see ``Session``.

What was recorded decides what happens and in which order, the clock only when. So a notebook that
steers a stream gets the same rows at any speed: the first sample that was asked about otherwise
waits until the notebook asks otherwise, and where the notebook is early, what came before comes
first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar, get_args

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.chat_session import DROP_CLOSED
from overshoot_nb.running.run import Run
from overshoot_nb.running.session import Sink
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import ASKED
from overshoot_nb.store.prompts import PromptVersion, asked_as_text
from overshoot_nb.store.stats import Reconnected, StreamStats
from overshoot_nb.types import Sample, SpectateResponse, StreamConfigResponse, StreamInfo

from .recorded_errors import is_failed_request, recorded_error
from .replay_chapters import Chapters, short
from .replay_clock import ReplayClock
from .replay_pictures import ReplayPictures
from .replay_script import Moment, Outcome, Part, charged_for

logger = logging.getLogger("overshoot_nb")

#: Asks a stream otherwise.
Leader = Callable[[PromptVersion], Awaitable[object]]

#: A sample that was recorded under a prompt that this stream skipped.
DROP_NOT_ASKED = "recorded under a prompt that was not asked"
#: A sample whose outcome was not recorded any more.
DROP_CUT_OFF = "the recording was cut off"
#: A stream that was closed when it was recorded waits so long to be closed again.
LINGER_SECONDS = 5.0
#: What came before the end is made to come before it, for so long.
CATCH_UP_SECONDS = 3.0
#: A prompt that is waited for longer is worth a line in the log.
PATIENCE_SECONDS = 10.0
#: ... and will not come: a notebook that has lost its update_prompt() fails rather than hangs.
GIVE_UP_SECONDS = 300.0


class ReplaySession:
    """One part of a recorded run, happening again.

    Args:
        run: the recorded run.
        part: which reading of its source.
        prompt: what is asked at first.
        sink: whom to tell.
        preview: who looks on.
        first_index: index of the first sample.
        speed: how many times as fast as it was; ``math.inf`` without waiting.
        published: whether a v0.2 server answered, which took the samples by itself.
        patient: whether it waits for minutes to be asked otherwise, and for seconds to be closed
            where the run was; else it ends after seconds, and at once.
        leader: who asks otherwise when the recording does; None where that is the user.

    Attributes:
        stream_id: the recorded one, in every row.
        info: what was watched.
    """

    LIVE_CHANGES: ClassVar[frozenset[str]] = frozenset((*ASKED, "interval_seconds"))

    def __init__(
        self,
        run: Run,
        part: Part,
        prompt: PromptVersion,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
        speed: float,
        published: bool = False,
        patient: bool = False,
        leader: Leader | None = None,
    ) -> None:
        self.stream_id = part.stream_id
        self.info: VideoInfo | None = run.info
        self.source = None  # what it would give is not looked at
        self._run = run
        self._part = part
        self._sink = sink
        self._shift = first_index - part.first
        self._published = published
        self._pictures = ReplayPictures(run, preview, self._shift)
        self._chapters = Chapters(run, part, published=published)
        self._patient = patient
        self._leader = leader
        self._clock = ReplayClock(speed)
        self._started_at = time.monotonic()
        self._paused = False
        self._over = False
        self._stopped = False
        self._taken = 0  # how many moments came
        self._settled = 0  # how many outcomes came
        self._settled_accounts = False
        self._open: dict[int, tuple[Sample, bool]] = {}  # by number: those without an outcome
        self._turn = asyncio.Lock()  # one thing happens at a time
        self._changed = asyncio.Event()
        self._prompt = prompt
        self._chapters.ask(prompt)

    # ---- what happens ----

    async def open(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`; nothing is opened."""

    async def run(self) -> str:
        """Make it happen; returns the sentence that says why the run ended.

        Raises:
            OvershootError: what made the recorded run fail.
        """
        while self._taken < len(self._part.moments) or self._settled < len(self._part.outcomes):
            self._changed.clear()
            step = self._next(paused=self._paused)
            if step is None:
                if given_up := await self._held_up():
                    return given_up
                continue
            wait = self._clock.until(step.at)
            if wait > 0 and await self._change_within(wait):
                continue
            async with self._turn:
                if self._next(paused=self._paused) is step:
                    await self._happen(step)
            await asyncio.sleep(0)  # at full speed, too, others have their turn
        for number in list(self._open):
            self._drop(number, DROP_CUT_OFF)
        return await self._end()

    def _next(self, *, paused: bool) -> Moment | Outcome | None:
        """What happens next, as things are; None where something must be waited for."""
        outcome = moment = None
        if self._settled < len(self._part.outcomes):
            outcome = self._part.outcomes[self._settled]
        if self._taken < len(self._part.moments):
            moment = self._part.moments[self._taken]
        held = moment is not None and (paused or moment.chapter > self._chapters.newest)
        if outcome is not None:
            # What is under way is answered, whoever holds up the samples.
            due = outcome.number < self._taken if held else outcome.after <= self._taken
            if due:
                return outcome
        return None if held else moment

    async def _happen(self, step: Moment | Outcome) -> None:
        if isinstance(step, Outcome):
            self._settled += 1
            self._settle(step)
        elif step.missed is not None:
            self._taken += 1
            self._sink.missed(step.index + self._shift, step.media_time, step.missed)
        else:
            sample = await asyncio.to_thread(self._pictures.read, step)
            if self._over:
                return  # it was ended meanwhile
            self._taken += 1
            self._take(step, sample)
        self._clock.passed(step.at)

    def _take(self, moment: Moment, sample: Sample) -> None:
        number = self._taken - 1
        self._sink.sampled(sample)
        self._pictures.show(sample)
        recorded = self._run.journal.log[moment.index]
        if recorded.row is not None and not self._chapters.told(moment.chapter):
            self._sink.dropped(sample, DROP_NOT_ASKED)
            return
        row = None if recorded.row is None else self._run.journal.table[recorded.row]
        sent = row is not None and row.copied_from is None
        if sent:
            self._sink.sent(sample)
        self._open[number] = sample, sent

    def _settle(self, outcome: Outcome) -> None:
        if outcome.number not in self._open:
            return  # it was not asked about
        if outcome.result is None:
            self._drop(outcome.number, outcome.reason)
            return
        del self._open[outcome.number]
        copied = outcome.result.copied_from
        result = replace(
            outcome.result,
            copied_from=None if copied is None else copied + self._shift,
            sample=outcome.result.sample + self._shift,
            prompt_version=self._chapters.version_here(outcome.result.prompt_version),
        )
        failed = is_failed_request(result) and not self._published
        self._sink.answered(result, recorded_error(result.error) if failed else None)

    def _drop(self, number: int, reason: str) -> None:
        sample, sent = self._open.pop(number)
        self._sink.dropped(sample, reason, sent=sent)

    # ---- what is waited for ----

    async def _held_up(self) -> str:
        """Wait for whoever holds up the next sample; says why where that is given up, else ""."""
        chapter = self._part.moments[self._taken].chapter
        if self._paused or chapter <= self._chapters.newest:
            await self._changed.wait()
            return ""
        wanted = self._chapters.wanted(chapter)
        if self._leader is not None:
            await self._leader(wanted)
            return ""
        goes_on = (
            f"the recording goes on with prompt version {wanted.version}, {short(wanted.text)}"
        )
        self._sink.said(f"{goes_on}: update_prompt() to it is waited for")
        if await self._change_within(PATIENCE_SECONDS):
            return ""
        if not self._patient:
            logger.warning("replay of stream %s: %s, which nobody asked", self.stream_id, goes_on)
            return f"{goes_on}, which nobody asked here"
        logger.warning("replay of stream %s: %s: it is waited for", self.stream_id, goes_on)
        if await self._change_within(GIVE_UP_SECONDS):
            return ""
        raise ValidationError(
            f"{goes_on}, which nobody asked for {PATIENCE_SECONDS + GIVE_UP_SECONDS:g} s: call "
            "update_prompt(...) as the run did that was recorded, or record it anew"
        )

    async def _change_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _catch_up(self) -> None:
        """Make all happen at once that comes before the next change of the prompt."""
        async with self._turn:
            while not self._over and (step := self._next(paused=False)) is not None:
                await self._happen(step)
                await asyncio.sleep(0)
            self._clock.begin_again()

    # ---- steering ----

    async def ask(self, prompt: PromptVersion) -> StreamConfigResponse:
        """Go on with what was answered to this; what came before it in the recording comes first.

        Raises:
            ValidationError: the recording has no such question.
        """
        before = self._prompt
        self._chapters.number_of(prompt)  # refuses what there is not
        if asked_as_text(prompt) != asked_as_text(before):
            await self._catch_up()
            self._prompt = prompt
            self._chapters.ask(prompt)
            self._changed.set()
        return StreamConfigResponse(
            id=f"{self.stream_id}-prompt-{prompt.version}",
            stream_id=self.stream_id,
            prompt=prompt.text,
            model=prompt.model,
            output_schema_json=prompt.output_schema,
            created_at=before.created_at,
            updated_at=prompt.created_at,
        )

    def change_interval(self, seconds: float) -> None:
        """See ``Session``; the samples come as they were recorded."""

    @property
    def paused(self) -> bool:
        """See :class:`~overshoot_nb.running.session.Session`."""
        return self._paused

    def pause(self) -> None:
        """Take no samples; the recording stands still. What is under way is still answered."""
        if not self._paused:
            self._paused = True
            self._clock.pause()
            self._changed.set()

    def resume(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`."""
        if self._paused:
            self._paused = False
            self._clock.resume()
            self._changed.set()

    # ---- what is known of it ----

    async def describe(self, stats: StreamStats) -> StreamInfo:
        """See :class:`~overshoot_nb.running.session.Session`."""
        info, latest = self.info, stats.latency_latest_ms
        return StreamInfo(
            stream_id=self.stream_id,
            source_type="replay",
            state="idle" if self._paused else "active",
            uptime_seconds=time.monotonic() - self._started_at,
            fps=info.fps if info is not None else None,
            frame_width=info.width if info is not None else None,
            frame_height=info.height if info is not None else None,
            inferences_completed=stats.results,
            inferences_failed=stats.errors,
            last_inference_latency_seconds=None if latest is None else latest / 1e3,
        )

    async def spectate(self) -> SpectateResponse:
        """See :class:`~overshoot_nb.running.session.Session`."""
        raise ValidationError("nobody else can watch this stream: it is a recording")

    # ---- the end ----

    async def _end(self) -> str:
        run = self._run
        if not self._part.last:
            note = "the recording of this run ends here: restart() goes on with the next"
            return await self._linger(note)
        self._settle_accounts()
        if run.state == "failed" and run.whole:
            self._over = True
            raise recorded_error(run.note)
        if run.state == "closed":
            note = f"the recording ends here, where its stream was closed ({run.note})"
            return await self._linger(note)
        self._over = True
        return run.note or "the recording ends here"

    async def _linger(self, note: str) -> str:
        """Wait a little for what ended the run then."""
        if self._patient and self._leader is None:
            self._sink.said(note)
            await asyncio.sleep(LINGER_SECONDS)
        self._over = True
        return note

    def _settle_accounts(self) -> None:
        """What the server charged for the run itself, once all of it happened."""
        done = self._taken == len(self._part.moments)
        if self._settled_accounts or not self._part.last or not done:
            return
        self._settled_accounts = True
        if (charged := charged_for(self._run, self.stream_id)) is not None:
            self._sink.renewed(charged)
        by_cause = self._run.journal.counters.snapshot().reconnections_by_cause
        for cause in get_args(Reconnected):
            for _ in range(by_cause.get(cause, 0)):
                self._sink.reconnected(cause)

    async def stop(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`.

        Where the recorded run was closed or restarted at its end, and is here, what came before
        that comes first.
        """
        if self._stopped:
            return
        self._stopped = True
        broken_off = self._run.state == "closed" or not self._part.last
        try:
            if broken_off and not self._over and self._leader is None:
                await self._end_early()
        finally:
            self._over = True  # also for an ask() that is still catching up
            for number in list(self._open):
                self._drop(number, DROP_CLOSED)

    async def _end_early(self) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._catch_up()
                self._settle_accounts()
        except TimeoutError:
            logger.warning(
                "replay of stream %s: was ended early, after %d of %d samples: the rest of the "
                "recording took longer than %g s",
                self.stream_id,
                self._taken,
                len(self._part.moments),
                CATCH_UP_SECONDS,
            )
