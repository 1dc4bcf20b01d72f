"""A stream that is published to a v0.2 server, which samples it and pushes the results.

The worker thread reads and plays the source; the runtime's loop publishes, keeps the lease and
receives. A sample of ours exists from its result on: only the server knows which moments it
chose, and :mod:`~overshoot_nb.gateway.matching` finds out which they were.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, ClassVar, NoReturn

from overshoot_nb import config
from overshoot_nb.errors import OvershootError, StreamClosedError, ValidationError
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.gateway.lease import keep_lease
from overshoot_nb.gateway.matching import Matching
from overshoot_nb.gateway.publish.feed import VideoFeed
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.gateway.publish.publisher import Publisher
from overshoot_nb.gateway.publish.recent import RecentFrames
from overshoot_nb.gateway.results import ResultChannel
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources.kinds import HLSSource, LiveKitSource
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.stats import StreamStats
from overshoot_nb.types import (
    ClipProcessingConfig,
    InferenceConfig,
    KeepaliveResponse,
    SpectateResponse,
    StreamConfigResponse,
    StreamCreateResponse,
    StreamInfo,
)

from .session import Sink
from .worker import Worker

logger = logging.getLogger("overshoot_nb")

#: How long the server is given to say why, once media or lease are gone.
REASON_SECONDS = 1.0
#: What telling the server of the end may take.
FAREWELL_SECONDS = 2.0
#: After the last frame, answers are awaited for this long and twice the latest latency.
DRAIN_SECONDS = 1.0
DRAIN_STEP_SECONDS = 0.1
#: The same before the first answer, when models may still be loading.
FIRST_ANSWER_SECONDS = config.TIMEOUT_SECONDS
#: A result channel that is lost meanwhile is given so long to come back.
AWAY_SECONDS = 30.0
#: Frames a second of which a picture is kept, for the rows.
KEPT_FPS = 10


class GatewaySession:
    """Publishes a source and takes in what the server answers, until either ends.

    See :class:`~overshoot_nb.running.session.Session`.

    Args:
        settings: what to watch and how.
        prompt: what to ask at first.
        api: the server's calls.
        sink: whom to tell.
        preview: who looks on while it is played.
        first_index: index of the first sample.

    Attributes:
        info: what is watched, once it is open; None for a room that the server enters itself.
        source: what is watched; once it is open, as it turned out to be.
    """

    LIVE_CHANGES: ClassVar[frozenset[str]] = frozenset(("prompt",))

    def __init__(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        api: ApiClient,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
    ) -> None:
        self._settings = settings
        self._prompt = prompt
        self._api = api
        self._sink = sink
        self.info: VideoInfo | None = None
        self.source = settings.source
        self._pacer = Pacer(
            realtime=not settings.source.live,
            hold=not settings.source.live,
            speed=settings.speed,
            tentative=True,
        )
        self._feed: VideoFeed | None = None
        self._worker: Worker | None = None
        self._publisher: Publisher | None = None
        self._kept: tuple[LatestFrame | RecentFrames, ...] = ()
        recent: RecentFrames | None = None
        if not isinstance(settings.source, LiveKitSource):
            latest, recent = LatestFrame(asyncio.get_running_loop()), RecentFrames()
            self._kept = (latest, recent)
            self._feed = VideoFeed(
                settings.source,
                latest,
                recent,
                max_size=settings.max_size,
                keep_fps=_kept_fps(settings),
                jpeg_quality=settings.jpeg_quality,
                pacer=self._pacer,
                preview=preview,
                on_status=self._said_by_worker,
            )
            self._worker = Worker("overshoot-feed", self._feed, self._feed.run)
            self._publisher = _publisher(settings, latest, loopback=api.endpoint.is_loopback)
        self._matching = Matching(settings, prompt, recent, first_index=first_index)
        self._creating: asyncio.Task[StreamCreateResponse] | None = None
        self._created: StreamCreateResponse | None = None
        self._renewing: asyncio.Task[NoReturn] | None = None
        self._results: ResultChannel | None = None
        self._paused = False
        self._stopped = False
        self._reconnects = 0  # of the result channel
        self._found_again = 0  # times that the source was

    @property
    def stream_id(self) -> str:
        """The server's id of the stream; "" before it has one."""
        return self._created.stream_id if self._created is not None else ""

    # ---- the beginning: each step is undone by `stop`, in reverse ----

    async def open(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`."""
        if self._worker is not None and self._feed is not None:
            if not self.source.live or isinstance(self.source, HLSSource):
                # A file begins when the server can see it, and a playlist may be one.
                self._pacer.pause()
            await self._worker.start()
            self.info = self._feed.info
            self.source = self._feed.source
        source = await self._source()
        self._created = await self._create(source)
        self._renewing = asyncio.create_task(
            keep_lease(self._api, self._created, renewed=self._renewed, said=self._sink.said)
        )
        self._results = self._api.results(self.stream_id, on_status=self._channel_said)
        await self._together(self._connect(), self._results.open())
        if not self._paused:
            self._pacer.resume()

    def _said_by_worker(self, note: str) -> None:
        if self._worker is None or not self._worker.deserted:
            for _ in range((self._feed.reconnections if self._feed else 0) - self._found_again):
                self._found_again += 1
                self._sink.reconnected("source")
            self._sink.said(note)

    async def _source(self) -> Any:
        """What POST /streams is told of the media."""
        if self._publisher is None:
            return self._settings.source
        return await self._publisher.offer()

    async def _create(self, source: Any) -> StreamCreateResponse:
        settings = self._settings
        inference = InferenceConfig(
            self._prompt.text,
            self._prompt.model,
            self._prompt.output_schema,
            self._prompt.max_output_tokens,
        )
        call = self._api.create_stream(source, settings.processing, inference, mode=settings.mode)
        # Not cancelled with us: a stream that the server begins meanwhile must be known, to be
        # ended.
        self._creating = asyncio.create_task(call)
        return await asyncio.shield(self._creating)

    async def _connect(self) -> None:
        if self._publisher is not None:
            assert self._created is not None
            await self._publisher.connect(self._created)

    @staticmethod
    async def _together(*steps: Coroutine[Any, Any, None]) -> None:
        """Both at once; the first failure ends the other and is raised."""
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancelled(tasks)

    # ---- while it runs ----

    async def run(self) -> str:
        """See :class:`~overshoot_nb.running.session.Session`."""
        assert self._renewing is not None
        receiving = asyncio.create_task(self._receive())
        playing = asyncio.create_task(self._played())
        watching = asyncio.create_task(self._media_lost())
        tasks: list[asyncio.Task[Any]] = [receiving, self._renewing, playing, watching]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if playing.done() and playing.exception() is None:
                return playing.result() + await self._drain(receiving)
            if not playing.done() and not receiving.done():
                # The server knows best why it is over.
                await asyncio.wait([receiving], timeout=REASON_SECONDS)
            ended: str = next(task for task in tasks if task.done()).result()
            return ended
        finally:
            await _cancelled(tasks)

    async def _receive(self) -> str:
        assert self._results is not None
        async for message in self._results:
            judged = None
            if len(message.result) > config.LARGE_ANSWER_BYTES:
                # Other streams need not wait for what takes long to check.
                judged = await asyncio.to_thread(self._matching.judged, message)
            sample, result = self._matching.row(message, judged)
            self._sink.sampled(sample)
            self._sink.sent(sample)
            self._sink.answered(result, None)
        raise StreamClosedError("the result channel ended", "the result channel ended")

    async def _played(self) -> str:
        if self._worker is None or self._feed is None:
            return await _never()  # the server alone sees the end of its room
        await self._worker.wait()
        return self._feed.ending

    async def _drain(self, receiving: asyncio.Task[str]) -> str:
        """Wait for the answers about the last frames; returns what is to be said of them."""
        assert self._results is not None
        self._sink.said("the video has ended, waiting for the last answers")
        began = since = time.monotonic()
        while not receiving.done() and not self._matching.seen_until_end():
            now = time.monotonic()
            if not self._results.connected and now - began < AWAY_SECONDS:
                since = now  # what it still has to say comes with the next connection
            latency = self._matching.latency
            patience = FIRST_ANSWER_SECONDS if latency is None else DRAIN_SECONDS + 2 * latency
            if self._matching.quiet_seconds(since) > patience:
                break
            await asyncio.wait([receiving], timeout=DRAIN_STEP_SECONDS)
        if self._matching.latency is None:
            return f"; no answer came in {time.monotonic() - began:.0f} s after it"
        return ""

    def _renewed(self, answer: KeepaliveResponse) -> None:
        if self._publisher is not None:
            self._publisher.renewed(answer)
        self._sink.renewed(answer)

    async def _media_lost(self) -> str:
        if self._publisher is None:
            return await _never()
        what = await self._publisher.wait_lost()
        raise StreamClosedError(
            f"the media connection to the server was lost ({what}); restart() connects again and "
            "keeps the rows",
            "the media connection was lost",
        )

    def _channel_said(self, note: str) -> None:
        assert self._results is not None
        for _ in range(self._results.reconnects - self._reconnects):
            self._sink.reconnected("result channel")
        self._reconnects = self._results.reconnects
        self._sink.said(note)

    # ---- steering ----

    async def ask(self, prompt: PromptVersion) -> StreamConfigResponse:
        """See ``Session``; in force from the server's next inference.

        Raises:
            NotFoundError: the server knows the stream no longer.
            OvershootError: the server refused, or was not reached.
        """
        # Before the call, because an answer to it may come before the call's own.
        new = self._matching.asked(prompt)
        try:
            return await self._api.update_prompt(self.stream_id, prompt.text)
        except BaseException:
            if new:
                self._matching.not_asked(prompt)
            raise

    def change_interval(self, seconds: float) -> None:
        """See :class:`~overshoot_nb.running.session.Session`; the server cannot."""
        raise ValidationError(
            f"interval_seconds={seconds!r} cannot change while the stream runs: the server "
            "samples it; restart(...) takes the same values and keeps the rows"
        )

    @property
    def paused(self) -> bool:
        """See :class:`~overshoot_nb.running.session.Session`."""
        return self._paused

    def pause(self) -> None:
        """Publish no frames; the lease is kept, and costs what it costs."""
        self._paused = True
        self._pacer.pause()

    def resume(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`."""
        self._paused = False
        self._pacer.resume()

    async def describe(self, stats: StreamStats) -> StreamInfo:
        """See :class:`~overshoot_nb.running.session.Session`: GET /streams/{id}/info."""
        return await self._api.stream_info(self._known_id())

    async def spectate(self) -> SpectateResponse:
        """See :class:`~overshoot_nb.running.session.Session`: POST /streams/{id}/spectate."""
        return await self._api.spectate(self._known_id())

    def _known_id(self) -> str:
        if not self.stream_id:
            raise StreamClosedError("the server has no stream of this yet, or never had")
        return self.stream_id

    # ---- the end ----

    async def stop(self) -> None:
        """See :class:`~overshoot_nb.running.session.Session`."""
        if self._stopped:
            return
        self._stopped = True
        if self._feed is not None:
            self._feed.interrupt()
        self._pacer.stop()
        await asyncio.gather(self._take_leave(), self._join())
        # A stream that is over is kept for its rows, which have pictures of their own.
        for kept in self._kept:
            kept.clear()

    async def _take_leave(self) -> None:
        if self._renewing is not None:
            await _cancelled([self._renewing])
        if self._results is not None:
            await self._results.close()
        if self._publisher is not None:
            await self._publisher.close()
        await self._delete()

    async def _delete(self) -> None:
        if self._creating is None:
            return
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                created = await asyncio.shield(self._creating)
                await self._api.close_stream(created.stream_id)
        except (OvershootError, TimeoutError) as error:
            # It ends with its lease; often it is the very reason of our end that it is gone.
            logger.debug(
                "the server was not told of the end of a stream: %s",
                str(error) or "no answer in time",
            )
        finally:
            self._creating.cancel()

    async def _join(self) -> None:
        if self._worker is not None and not await self._worker.join():
            self._sink.said("a read of the source is still ending")


async def _never() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _kept_fps(settings: StreamSettings) -> float:
    if isinstance(settings.processing, ClipProcessingConfig):
        return max(KEPT_FPS, settings.processing.target_fps)
    return max(KEPT_FPS, 1 / settings.processing.interval_seconds)


def _publisher(settings: StreamSettings, latest: LatestFrame, *, loopback: bool) -> Publisher:
    if settings.transport == "native":
        from overshoot_nb.gateway.publish.livekit import LiveKitPublisher

        return LiveKitPublisher(latest, timeout=config.MEDIA_TIMEOUT_SECONDS)
    from overshoot_nb.gateway.publish.webrtc import WebRTCPublisher

    return WebRTCPublisher(latest, loopback=loopback, timeout=config.MEDIA_TIMEOUT_SECONDS)
