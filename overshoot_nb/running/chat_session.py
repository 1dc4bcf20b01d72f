"""A stream that samples here and asks a chat server about each sample.

One worker thread reads, chooses and encodes; the runtime's loop asks. This module joins the two
and accounts for every sample; :class:`~overshoot_nb.stream.Stream` holds what comes of it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import ClassVar

from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.retry import NoLongerWanted
from overshoot_nb.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    NotFoundError,
    OvershootError,
    PermissionDeniedError,
    ValidationError,
)
from overshoot_nb.sampling.encoder import fit
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import ASKED, StreamSettings
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.stats import StreamStats
from overshoot_nb.types import (
    ChatAnswer,
    Sample,
    SpectateResponse,
    StreamConfigResponse,
    StreamInfo,
)

from .handoff import Handoff
from .session import Sink
from .taken_up import Outcome, PromptInForce, SameFrames, TakenUp, copy_of
from .worker import Worker

#: No later sample would fare better, so these end the stream.
FATAL = (AuthenticationError, InsufficientCreditsError, PermissionDeniedError, NotFoundError)
#: A stream that never got an answer gives up after this many failures in a row.
HOPELESS_AFTER = 3
#: Samples that wait for the answer about the same picture, at most: each is a task.
MAX_COPYING = 256

DROP_LATE = "replaced by a newer sample"
DROP_PAUSED = "paused"
DROP_CLOSED = "stream closed"


class ChatSession:
    """Samples a source and asks about each sample, until the source ends or it is stopped.

    See :class:`~overshoot_nb.running.session.Session`.

    Args:
        settings: what to watch and how.
        prompt: what to ask at first.
        chat: whom to ask.
        sink: whom to tell.
        preview: who looks on while it samples.
        first_index: index of the first sample.

    Attributes:
        stream_id: id of this run, in every row.
        info: what is watched, once it is open.
        source: the same as a source: once it is open, as it turned out to be.
    """

    LIVE_CHANGES: ClassVar[frozenset[str]] = frozenset((*ASKED, "interval_seconds"))

    def __init__(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        chat: ChatClient,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int = 0,
    ) -> None:
        self._settings = settings
        self._chat = chat
        self.stream_id = f"stream_{uuid.uuid4().hex[:20]}"
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._pacer = Pacer(
            realtime=settings.source.realtime and not settings.source.live,
            hold=not settings.source.live,
            speed=settings.speed,
            tentative=True,
        )
        self.info: VideoInfo | None = None
        self.source = settings.source
        self._started_at = time.monotonic()
        self._reader = SampleReader(
            settings.source,
            settings.processing,
            max_size=settings.max_size,
            jpeg_quality=settings.jpeg_quality,
            clip_encoding=settings.clip_encoding,
            pacer=self._pacer,
            on_status=self._source_said,
            on_drop=self._missed,
            preview=preview,
            first_index=first_index,
        )
        self._same = SameFrames(copies=settings.same_frame == "copy")
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._handoff = Handoff(
            self._loop,
            newest_wins=settings.realtime,
            capacity=settings.max_in_flight,
            stays=self._repeats,
        )
        self._worker = Worker(
            f"overshoot-sampler-{self.stream_id[-6:]}",
            self._reader,
            self._read,
            self._handoff.finish,
        )
        self._reconnections = 0
        self._fatal: OvershootError | None = None
        self._paused = False
        self._failures = 0
        self._copying = 0
        self._answers = 0
        self._prompt = self._prepared(prompt)

    # ---- steering ----

    async def ask(self, prompt: PromptVersion) -> StreamConfigResponse:
        """Ask this from the next request on.

        Raises:
            ValidationError: it cannot be asked; the one before stays.
        """
        before = self._prompt.version
        self._prompt = self._prepared(prompt)
        return StreamConfigResponse(
            id=f"{self.stream_id}-prompt-{prompt.version}",
            stream_id=self.stream_id,
            prompt=prompt.text,
            model=prompt.model,
            output_schema_json=prompt.output_schema,
            created_at=before.created_at,
            updated_at=prompt.created_at,
        )

    def _prepared(self, prompt: PromptVersion) -> PromptInForce:
        request = self._chat.prepare(
            prompt.text,
            prompt.model,
            output_schema=prompt.output_schema,
            max_output_tokens=prompt.max_output_tokens,
            temperature=prompt.temperature,
            response_format=self._settings.response_format,
            thread_id=self.stream_id,
            system=prompt.system,
            extra_body=prompt.extra_body,
        )
        return PromptInForce(prompt, request)

    def change_interval(self, seconds: float) -> None:
        """Take a frame every so many seconds from the next moment on that was not chosen yet.

        Raises:
            ValidationError: it is out of range, or these are clips.
        """
        self._reader.change_interval(seconds)

    @property
    def paused(self) -> bool:
        """Whether it was told to take no samples."""
        return self._paused

    def pause(self) -> None:
        """Take no samples: a file stands still, a live source is read on and dropped."""
        self._paused = True
        self._pacer.pause()

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._pacer.resume()

    # ---- the worker thread ----

    async def open(self) -> None:
        """Open the source and start sampling.

        Raises:
            SourceError: it cannot be opened, or is no video.
            ValidationError: it was to be read as a file, and turned out to be live.
        """
        await self._worker.start()
        self.info = self._reader.info
        self.source = self._reader.source

    def _read(self) -> None:
        for sample in self._reader:
            self._hand_over(sample)

    def _source_said(self, note: str) -> None:
        for _ in range(self._reader.reconnections - self._reconnections):
            self._reconnections += 1
            self._sink.reconnected("source")
        self._sink.said(note)

    def _missed(self, index: int, media_time: float, reason: str) -> None:
        if not self._worker.deserted:
            self._sink.missed(index, media_time, reason)

    def _hand_over(self, sample: Sample) -> None:
        if self._worker.deserted:
            return
        if self._paused and self._reader.live:
            self._sink.missed(sample.index, sample.media_time, DROP_PAUSED)
            return
        self._sink.sampled(sample)
        lost = self._handoff.put(sample)
        if lost is sample:
            self._sink.dropped(sample, DROP_CLOSED)
        elif lost is not None:
            self._sink.dropped(lost, DROP_LATE)

    # ---- asking ----

    async def run(self) -> str:
        """Ask about every sample; returns the sentence that says why the stream ended.

        Raises:
            OvershootError: the source failed, or no request can succeed any more.
        """
        previous: asyncio.Event | None = None
        async with asyncio.TaskGroup() as asking:
            # It waits there for a free slot: while requests are slow, the waiting sample can
            # still be replaced by a newer one.
            while (sample := await self._handoff.get(self._ready)) is not None:
                work = self._same.take_up(sample, self._prompt, previous)
                if work.before is None:
                    await self._slots.acquire()  # at once, it is free
                    self._sink.sent(sample)
                    asking.create_task(self._ask(work))
                else:
                    self._copying += 1
                    asking.create_task(self._copy(work, work.before))
                # Not in real time, rows come in the order of the video.
                previous = None if self._settings.realtime else work.turn
        if self._fatal is not None:
            raise self._fatal
        await self._worker.wait()
        return self._reader.ending

    def _repeats(self, sample: Sample) -> bool:
        return self._same.repeats(sample, self._prompt)

    def _ready(self, sample: Sample) -> bool:
        """Whether a sample can be taken up: what shows the same again needs no request."""
        if self._repeats(sample):
            return self._copying < MAX_COPYING
        return not self._slots.locked()

    async def _copy(self, work: TakenUp, before: Outcome) -> None:
        """Give a sample the answer of the one before, or ask where that has none."""
        try:
            answer = await before.answer()
            if answer is None and self._settings.realtime and self._slots.locked():
                self._give_up(work, DROP_LATE)  # newer samples have the slots
                return
            if answer is None:
                await self._slots.acquire()
            elif work.previous is not None:
                await work.previous.wait()
        except asyncio.CancelledError:
            self._give_up(work, DROP_CLOSED)
            raise
        finally:
            self._copying -= 1
            self._handoff.look_again()
        if answer is not None:
            work.turn.set()
            self._sink.answered(copy_of(answer, work.sample), None)
            work.outcome.settle(answer)
        elif self._fatal is None:
            self._sink.sent(work.sample)
            await self._ask(work)
        else:
            self._free_slot()
            self._give_up(work, DROP_CLOSED)

    def _give_up(self, work: TakenUp, reason: str) -> None:
        work.turn.set()
        self._sink.dropped(work.sample, reason)
        work.outcome.settle(None)

    def _free_slot(self) -> None:
        self._slots.release()
        self._handoff.look_again()

    async def _ask(self, work: TakenUp) -> None:
        sample, prompt = work.sample, work.prompt
        started = self._loop.time()
        error: OvershootError | None = None
        answer: ChatAnswer | None = None
        try:
            try:
                answer = await self._chat.complete(prompt.request, sample, waiter=self)
            except OvershootError as failure:
                error = failure
            except NoLongerWanted:
                self._free_slot()
                self._sink.dropped(sample, DROP_LATE, sent=True)
                work.outcome.settle(None)
                return
            answered_at = datetime.now(UTC)
            elapsed_ms = (self._loop.time() - started) * 1e3
            self._free_slot()
            if work.previous is not None:
                await work.previous.wait()
        except asyncio.CancelledError:
            self._sink.dropped(sample, DROP_CLOSED, sent=True)
            raise
        finally:
            work.turn.set()
        result = work.failed(self.stream_id, answered_at, elapsed_ms)
        if answer is not None:
            self._answers += 1
            result = replace(
                result,
                id=answer.id or result.id,
                model_name=answer.model or result.model_name,
                result=answer.content,
                inference_latency_ms=answer.latency_ms,
                ok=answer.ok,
                error=answer.error,
                finish_reason=answer.finish_reason,
                usage=answer.usage,
                output=answer.output,
                reasoning=answer.reasoning,
            )
        elif error is not None:
            result = replace(result, error=str(error))
            self._judge(error)
        self._sink.answered(result, error)
        work.outcome.settle(result)

    def waiting(self, note: str) -> None:
        """A server's limit is waited for (see :class:`~overshoot_nb.asking.retry.Waiter`)."""
        self._sink.held(note)

    def wanted(self) -> bool:
        """Whether a sample that had to wait is still asked about: not if a newer one is there."""
        return not (self._settings.realtime and len(self._handoff))

    def _judge(self, error: OvershootError) -> None:
        """Decide whether asking goes on after ``error``."""
        self._failures += 1
        hopeless = not self._answers and self._failures >= HOPELESS_AFTER
        if self._fatal is None and (isinstance(error, FATAL) or hopeless):
            self._fatal = error
            self._abandon()

    # ---- what is known of it ----

    async def describe(self, stats: StreamStats) -> StreamInfo:
        """See ``Session``; what a v0.2 server would say of it."""
        info = self.info
        sizes: dict[str, int] = {}
        if info is not None and info.width:
            width, height = fit(info.width, info.height, Fraction(1), 0, self._settings.max_size)
            sizes = {
                "frame_width": info.width,
                "frame_height": info.height,
                "effective_width": width,
                "effective_height": height,
            }
        latest = stats.latency_latest_ms
        return StreamInfo(
            stream_id=self.stream_id,
            source_type="inline",
            state="idle" if self._paused else "active",
            uptime_seconds=time.monotonic() - self._started_at,
            fps=info.fps if info is not None else None,
            inferences_completed=stats.results,
            inferences_failed=stats.errors,
            last_inference_latency_seconds=None if latest is None else latest / 1e3,
            **sizes,
        )

    async def spectate(self) -> SpectateResponse:
        """See :class:`~overshoot_nb.running.session.Session`."""
        raise ValidationError(
            "nobody else can watch this stream: its frames go to the server one by one. A v0.2 "
            "server has a room to look into where transport='native'"
        )

    # ---- the end ----

    def _abandon(self) -> None:
        self._reader.interrupt()
        self._pacer.stop()
        for sample in self._handoff.abandon():
            self._sink.dropped(sample, DROP_CLOSED)

    async def stop(self) -> None:
        """Stop sampling and wait for the worker thread to end; idempotent."""
        self._abandon()
        if not await self._worker.join():
            self._sink.said("a read of the source is still ending")
