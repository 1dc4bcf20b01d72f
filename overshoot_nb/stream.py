"""``Stream``: one running analysis, its rows, its figures and its end."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Literal

from .api.chat import ChatClient
from .callbacks import CallbackQueue
from .chat_session import ChatSession
from .display import figures, stream_html
from .errors import OvershootError, StreamClosedError
from .frames import FrameStore
from .runtime import Runtime
from .settings import StreamSettings
from .stats import Counters, StreamStats
from .table import ResultTable
from .types import Mode, Sample, StreamConfigResponse, StreamInferenceResult, StreamState
from .validation import check_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Stream"]

logger = logging.getLogger("overshoot_nb")

#: close() ends within 5 s whatever happens: 3.5 s for the source (chat_session), 1 s for callbacks.
CALLBACK_SECONDS = 1.0

ACTIVE: frozenset[StreamState] = frozenset(("starting", "running", "paused"))

ResultCallback = Callable[[StreamInferenceResult], object]
ErrorCallback = Callable[[Exception], object]


class Stream:
    """A video being watched and asked about; made by ``client.streams.create(...)``.

    It runs on a thread of its own, so it goes on while a notebook cell blocks. Its coroutines
    can be awaited from any event loop; its properties can be read from anywhere at any time, also
    after the end. It is an async context manager (leaving it closes it) and an async iterable of
    every result from the first on::

        async with await client.streams.create(...) as stream:
            async for result in stream:
                print(result.media_time, result.result)
    """

    def __init__(
        self,
        settings: StreamSettings,
        chat: ChatClient,
        runtime: Runtime,
        *,
        on_result: ResultCallback | None,
        on_error: ErrorCallback | None,
        caller_loop: asyncio.AbstractEventLoop | None,
        on_over: Callable[[Stream], object],
    ) -> None:
        # Made on the runtime's loop, by the client alone.
        self._settings = settings
        self._runtime = runtime
        self._on_result = on_result
        self._on_error = on_error
        self._on_over = on_over
        self._stream_id = f"stream_{uuid.uuid4().hex[:20]}"
        self._state: StreamState = "starting"
        self._note = ""
        self._error: Exception | None = None
        self._counters = Counters()
        self._table = ResultTable(settings.output_schema)
        self._frames = FrameStore(settings.keep_frames)
        self._callbacks = CallbackQueue(caller_loop, asyncio.get_running_loop(), on_error)
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._close_reason: str | None = None
        self._main: asyncio.Task[None] | None = None
        self._session = ChatSession(settings, chat, self._stream_id, self)

    # ---- what it is ----

    @property
    def stream_id(self) -> str:
        """Id of this stream; every row carries it."""
        return self._stream_id

    @property
    def is_active(self) -> bool:
        """True while it is starting, running or paused."""
        return self._state in ACTIVE

    @property
    def state(self) -> StreamState:
        """starting, running or paused; then ended, failed or closed."""
        return self._state

    @property
    def status(self) -> str:
        """The state and, where there is one, the reason or what is happening, in words."""
        return f"{self._state}: {self._note}" if self._note else self._state

    @property
    def error(self) -> Exception | None:
        """What made it fail, or None."""
        return self._error

    @property
    def settings(self) -> StreamSettings:
        """Everything it was asked to do, defaults filled in."""
        return self._settings

    @property
    def mode(self) -> Mode:
        """ "frame" or "clip"."""
        return self._settings.mode

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._settings.model

    @property
    def prompt(self) -> str:
        """The prompt in force."""
        return self._session.prompt.text

    @property
    def prompt_version(self) -> int:
        """1 for the first prompt, one more for each that followed."""
        return self._session.prompt.version

    @property
    def duration(self) -> float | None:
        """Length of the video in seconds, or None where it has no end or does not say."""
        return self._session.reader.info.duration

    # ---- what came of it ----

    @property
    def df(self) -> pd.DataFrame:
        """The rows so far as a pandas DataFrame; a snapshot that later rows never change.

        Columns are described at :class:`overshoot_nb.table.ResultTable`.
        """
        return self._table.df

    @property
    def frames(self) -> FrameStore:
        """The sampled pictures by sample index, the newest ``keep_frames`` bytes of them."""
        return self._frames

    @property
    def stats(self) -> StreamStats:
        """Figures of this moment: samples, results, errors, drops by reason, latencies, tokens."""
        return self._counters.snapshot()

    # ---- steering ----

    async def update_prompt(self, prompt: str) -> StreamConfigResponse:
        """Ask ``prompt`` from the next sample on; rows know which prompt made them.

        Raises:
            ValidationError: the prompt is empty.
            StreamClosedError: the stream is over.
        """
        check_text("prompt", prompt)
        return await self._runtime.call(self._update_prompt(prompt))

    async def _update_prompt(self, prompt: str) -> StreamConfigResponse:
        self._require_active("update the prompt")
        created_at = self._session.prompt.created_at
        now = self._session.update_prompt(prompt)
        return StreamConfigResponse(
            id=f"{self._stream_id}-prompt-{now.version}",
            stream_id=self._stream_id,
            prompt=now.text,
            model=self._settings.model,
            output_schema_json=self._settings.output_schema,
            created_at=created_at,
            updated_at=now.created_at,
        )

    async def pause(self) -> None:
        """Take no samples until :meth:`resume`. A file stands still; a live source runs on.

        Raises:
            StreamClosedError: the stream is over.
        """
        await self._runtime.call(self._steer("paused"))

    async def resume(self) -> None:
        """Go on after :meth:`pause`; does nothing when running.

        Raises:
            StreamClosedError: the stream is over.
        """
        await self._runtime.call(self._steer("running"))

    async def _steer(self, state: Literal["paused", "running"]) -> None:
        self._require_active("pause" if state == "paused" else "resume")
        if state == "paused":
            self._session.pause()
        else:
            self._session.resume()
        self._set_state(state)

    async def wait(self, timeout: float | None = None) -> str:
        """Wait until the stream is over and every callback was called; returns its status.

        Raises:
            OvershootError: what made the stream fail.
            TimeoutError: it is not over after ``timeout`` seconds; it goes on.
        """
        drain = not self._callbacks.inside()
        async with asyncio.timeout(timeout):
            await self._runtime.call(self._wait_over(drain))
        if self._error is not None:
            raise self._error
        return self.status

    async def _wait_over(self, drain: bool) -> None:
        await self._over.wait()
        if drain:
            await self._callbacks.drain()

    async def close(self, reason: str = "closed by its user") -> None:
        """End the stream. Rows and frames stay. Idempotent, within 5 s whatever the network does.

        Results that came before are still handed to ``on_result`` (for at most a second).
        """
        await self._runtime.call(self._close(reason, drain=not self._callbacks.inside()))

    async def _close(self, reason: str = "closed by its user", *, drain: bool = True) -> None:
        if self._main is not None:
            if self._close_reason is None:  # cancelled once: a second time would hit the clean-up
                self._close_reason = reason
                self._main.cancel()
            await self._over.wait()
        if drain and not await self._callbacks.drain(CALLBACK_SECONDS):
            self._callbacks.cancel()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[StreamInferenceResult]:
        seen = 0
        while new := await self._runtime.call(self._results_after(seen)):
            seen += len(new)
            for result in new:
                yield result
        if self._error is not None:
            raise self._error

    async def _results_after(self, seen: int) -> list[StreamInferenceResult]:
        """The results from number ``seen`` on, as soon as there is one; [] at the end."""
        while len(self._table) <= seen and not self._over.is_set():
            await self._changed.wait()
        return self._table.results_since(seen)

    def _require_active(self, verb: str) -> None:
        if not self.is_active:
            raise StreamClosedError(
                f"cannot {verb}: the stream is over ({self.status}); start a new one with "
                "client.streams.create(...)",
                reason=self._note,
            )

    # ---- its life, on the runtime's loop ----

    async def _start(self) -> None:
        """Open the source and go on in a task of its own.

        Raises:
            SourceError: the source cannot be opened.
        """
        try:
            await self._session.open()
        except BaseException as error:
            await self._session.stop()
            self._finish("failed", str(error))
            raise
        self._set_state("running")
        self._runtime.close_at_exit(self, self._close)
        self._main = asyncio.create_task(self._live(), name=self._stream_id)

    async def _live(self) -> None:
        state: StreamState = "failed"
        note = ""
        try:
            note = await self._session.run()
            state = "ended"
        except asyncio.CancelledError:
            state, note = "closed", self._close_reason or "the interpreter exits"
        except Exception as error:
            if not isinstance(error, OvershootError):
                logger.exception("stream %s failed in an unforeseen way", self._stream_id)
            self._error, note = error, str(error)
        finally:
            try:
                await self._session.stop()
            finally:
                self._finish(state, note)

    def _finish(self, state: StreamState, note: str) -> None:
        self._set_state(state, note)
        self._runtime.forget(self)
        if self._error is not None:
            if self._on_error is not None:
                self._callbacks.put(self._on_error, self._error)
            else:
                logger.warning("stream %s failed: %s", self._stream_id, self._error)
        self._over.set()
        self._wake()
        self._on_over(self)

    def _set_state(self, state: StreamState, note: str = "") -> None:
        self._state, self._note = state, note

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # ---- what the session tells it (see chat_session.Sink) ----

    def sampled(self, sample: Sample) -> None:
        """A sample was taken."""
        if self._state == "running":
            self._note = ""  # whatever was wrong with the source is over
        self._counters.sampled()
        self._frames.put(sample)

    def sent(self, sample: Sample) -> None:
        """Its request is under way."""
        self._counters.sent()

    def missed(self, reason: str, count: int) -> None:
        """Chosen moments gave no sample."""
        self._counters.missed(reason, count)

    def dropped(self, reason: str, *, sent: bool = False) -> None:
        """A sample will not be answered."""
        self._counters.dropped(reason, sent=sent)

    def answered(self, result: StreamInferenceResult, error: OvershootError | None) -> None:
        """A sample has its row."""
        self._counters.answered(result)
        self._table.append(result)
        self._wake()
        if error is None:
            if self._on_result is not None:
                self._callbacks.put(self._on_result, result)
        elif self._on_error is not None:
            self._callbacks.put(self._on_error, error)

    def said(self, note: str) -> None:
        """Something happens that the user should see, e.g. a reconnection."""
        if self.is_active:
            self._note = note

    # ---- how it looks ----

    def __repr__(self) -> str:
        return (
            f"<Stream {self._stream_id} of {self._settings.source.label}, {self._settings.model}, "
            f"{self.status}; {figures(self.stats)}>"
        )

    def _repr_html_(self) -> str:
        return stream_html(self)
