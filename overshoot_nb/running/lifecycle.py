"""The life of a stream: its states, its runs, and what is steered while one goes on.

A run is one reading of the source, by a ``Session``; a restart begins
another one, with the rows kept. Everything here happens on the runtime's loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from overshoot_nb.errors import OvershootError, StreamClosedError, ValidationError
from overshoot_nb.runtime.event_loop import Runtime
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import StreamChanges, StreamSettings
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory, PromptVersion, asked_by
from overshoot_nb.types import (
    SpectateResponse,
    StreamConfigResponse,
    StreamInferenceResult,
    StreamInfo,
    StreamState,
)

from .callbacks import CallbackQueue
from .reception import ErrorCallback, Reception, ResultCallback
from .run import Run
from .run_registry import remember_run
from .service import Service, checked_change

logger = logging.getLogger("overshoot_nb")

#: close() ends within 5 s whatever happens: 3.5 s for the session, 1 s for callbacks. Recordings
#: are waited for as long as these leave.
CLOSE_SECONDS = 5.0
CALLBACK_SECONDS = 1.0

ACTIVE: frozenset[StreamState] = frozenset(("starting", "running", "paused"))


class Lifecycle(Run):
    """States, runs and results of one stream.

    Attributes:
        state, note: the state, and its reason or what is happening, in words.
        error: what made it fail, or None.
        settings: what it is asked to do now.
        prompts: what was asked so far.
        journal: what came of it.
        preview: who looks on.
        run_start: index of the first sample of this run.
        info: what is watched, once it was opened.

    Args:
        settings: what it is asked to do at first, checked by the service.
        on_result, on_error: the user's callbacks.
        caller_loop: the loop that these are called on, or None.
        on_start: called before each run; raises where no stream may run any more.
        on_over: called when it is over.
        note: kept with the first prompt version.
    """

    def __init__(
        self,
        settings: StreamSettings,
        service: Service,
        runtime: Runtime,
        *,
        on_result: ResultCallback | None,
        on_error: ErrorCallback | None,
        caller_loop: asyncio.AbstractEventLoop | None,
        on_start: Callable[[], object],
        on_over: Callable[[], object],
        note: str = "",
    ) -> None:
        self.settings = settings
        self.state: StreamState = "starting"
        self.note = ""
        self.error: Exception | None = None
        self.journal = Journal(settings.output_schema, settings.keep_frames)
        self.preview = Preview()
        self.run_start = 0
        self.info: VideoInfo | None = None
        self._callbacks = CallbackQueue(caller_loop, asyncio.get_running_loop(), on_error)
        self._service = service
        self._runtime = runtime
        self._on_start = on_start
        self._on_over = on_over
        self._reception = Reception(
            self.journal, self.callbacks, on_result=on_result, on_error=on_error, say=self._say
        )
        self._previous_id = ""
        self._over = asyncio.Event()
        self._steering = asyncio.Lock()
        self._close_reason: str | None = None
        self._closes = 0
        self._cancelled: asyncio.Task[None] | None = None  # what was told to end
        self._beginning: asyncio.Task[None] | None = None
        self._main: asyncio.Task[None] | None = None
        self._restart: asyncio.Task[None] | None = None
        self._restarting = False  # a run ends, the stream does not
        server = service.endpoint.base_url
        asked = {**asked_by(settings), "_settings": settings, "_base_url": server}
        first = PromptVersion(1, note=note, **asked)
        self.prompts = PromptHistory(first, self)
        self._new_session()

    def _new_session(self) -> None:
        self.run_start = len(self.journal.log)
        self._reception.begin_run()
        self.session = self.service.session(
            self.settings,
            self.prompts.current,
            self._reception,
            preview=self.preview,
            first_index=self.run_start,
        )

    @property
    def stream_id(self) -> str:
        """Id of this run; of the one before until the server gave this one its own."""
        return self.session.stream_id or self._previous_id

    @property
    def is_active(self) -> bool:
        """True while it is starting, running or paused."""
        return self.state in ACTIVE

    @property
    def service(self) -> Service:
        """Who answers."""
        return self._service

    @property
    def callbacks(self) -> CallbackQueue:
        """The calls of the user's callbacks that wait."""
        return self._callbacks

    @property
    def live_changes(self) -> frozenset[str]:
        """See :class:`Run`."""
        return self.session.LIVE_CHANGES

    # ---- a run ----

    async def start(self) -> None:
        """Open the source and go on in a task of its own.

        Raises:
            SourceError: the source cannot be opened.
            StreamClosedError: it was closed meanwhile.
            OvershootError: the server refused, or no connection to it came about.
        """
        # A task too: close() ends it, and waits for what it began to be undone.
        beginning = self._beginning = asyncio.create_task(self._begin())
        try:
            await asyncio.wait([beginning])
        except asyncio.CancelledError:
            await self._end_run("interrupted")
            raise
        if beginning.cancelled():
            raise StreamClosedError(f"the stream was closed as it began: {self.note}", self.note)
        beginning.result()

    async def _begin(self) -> None:
        try:
            self._on_start()
            self._runtime.close_at_exit(self, self.close, self._forked)
            await self.session.open()
            remember_run(self.stream_id, self)
            self.info = self.session.info
            self.settings = self.settings.watching(self.session.source)
        except BaseException as error:
            try:
                await self.session.stop()
            finally:
                if isinstance(error, asyncio.CancelledError):
                    self._finish("closed", self._close_reason or "interrupted")
                else:
                    self._finish("failed", str(error))
            raise
        self._set_state("paused" if self.session.paused else "running")
        self._main = asyncio.create_task(self._live(), name=self.stream_id)

    async def _live(self) -> None:
        state: StreamState = "failed"
        note = ""
        try:
            note = await self.session.run()
            state = "ended"
        except asyncio.CancelledError:
            state, note = "closed", self._close_reason or "the interpreter exits"
        except Exception as error:
            if not isinstance(error, OvershootError):
                logger.exception("stream %s failed in an unforeseen way", self.stream_id)
            self.error, note = error, str(error)
        finally:
            try:
                await self.session.stop()
            finally:
                if not self._restarting:
                    self._finish(state, note)

    def _finish(self, state: StreamState, note: str) -> None:
        self._set_state(state, note)
        self._runtime.forget(self)
        if self.error is not None and not self._reception.failed(self.error):
            logger.warning("stream %s failed: %s", self.stream_id, self.error)
        self._over.set()
        self._reception.wake()
        self._on_over()

    def _set_state(self, state: StreamState, note: str = "") -> None:
        self.state, self.note = state, note
        self.journal.touch()

    def _say(self, note: str) -> None:
        # What a source that is being opened or a pause has to say is not wiped by a sample.
        if self.is_active and (note or self.state == "running"):
            self.note = note

    # ---- steering ----

    async def update(self, changes: StreamChanges, note: str = "") -> StreamConfigResponse:
        """Change what a running stream can change; returns what is in force now.

        ``note`` is kept with a prompt version that is new.

        Raises:
            ValidationError: a value is not allowed, or takes a restart.
            NotFoundError: the embedded engine does not have the model.
            StreamClosedError: the stream is over.
        """
        async with self._steering:
            self.require_active("update it")
            settings = await checked_change(self.service, self.settings, changes)
            self.require_active("update it")  # it may have ended meanwhile
            if fixed := set(self.settings.differing(changes)) - self.session.LIVE_CHANGES:
                raise ValidationError(
                    f"{', '.join(sorted(fixed))} cannot change while the stream runs; "
                    "restart(...) takes the same values and keeps the rows"
                )
            version = self._version(settings, note)
            try:
                if settings.processing != self.settings.processing:
                    self.session.change_interval(settings.numbers["interval_seconds"])
                answer = await self.session.ask(version)
            except BaseException:
                self.prompts.discard(version)
                raise
            self._adopt(settings, version)
            return answer

    async def restart(self, changes: StreamChanges) -> None:
        """Read the source anew from its start, with some settings changed; all rows are kept.

        Raises:
            ValidationError: a value is not allowed.
            NotFoundError: the embedded engine does not have the model.
            SourceError: the source cannot be opened again.
            StreamClosedError: the stream's client was closed, or the stream meanwhile.
        """
        closes = self._closes
        async with self._steering:
            if self._closes != closes:
                raise StreamClosedError("the stream was closed before it could restart")
            settings = await checked_change(self.service, self.settings, changes)
            if self._closes != closes:
                raise StreamClosedError("the stream was closed before it could restart")
            restart = self._restart = asyncio.create_task(self._run_again(settings))
            try:
                # Its own task: close() may cancel it without cancelling the caller.
                await asyncio.wait([restart])
                if restart.cancelled():
                    raise StreamClosedError("the stream was closed while it restarted")
                restart.result()
            except asyncio.CancelledError:
                self._close_reason = "interrupted"
                restart.cancel()
                await asyncio.wait([restart])  # what comes next finds one run or none
                await self._end_run("interrupted")  # it may have begun just then
                raise
            finally:
                self._restart = None
                self._finish_left()

    async def _run_again(self, settings: StreamSettings) -> None:
        self._restarting = True
        try:
            await self._end_run("restarted")
        finally:
            self._restarting = False
        self._adopt(settings, self._version(settings))
        self.error, self._close_reason = None, None
        self._previous_id = self.stream_id
        self._new_session()
        self._over.clear()
        self._set_state("starting")
        try:
            await self.start()
        except OvershootError as error:
            self.error = error
            raise

    async def describe(self) -> StreamInfo:
        """State, sizes and counts, from whoever samples."""
        return await self.session.describe(self.journal.counters.snapshot())

    async def spectate(self) -> SpectateResponse:
        """Where others can watch.

        Raises:
            ValidationError: nowhere.
        """
        return await self.session.spectate()

    def _version(self, settings: StreamSettings, note: str = "") -> PromptVersion:
        return self.prompts.version_of(settings=settings, note=note, **asked_by(settings))

    def _adopt(self, settings: StreamSettings, version: PromptVersion) -> None:
        schema = settings.output_schema
        if schema is not None and schema != self.settings.output_schema:
            self.journal.table.add_schema(schema)
        self.settings = settings
        self.prompts.enforce(version)
        self.journal.touch()

    async def steer(self, state: Literal["paused", "running"]) -> None:
        """Pause or resume.

        Raises:
            StreamClosedError: the stream is over.
        """
        self.require_active("pause" if state == "paused" else "resume")
        if state == "paused":
            self.session.pause()
        else:
            self.session.resume()
        # A run that opens its source becomes it then.
        if self.state in ("running", "paused"):
            self._set_state(state)

    def require_active(self, verb: str) -> None:
        """Refuse to ``verb`` a stream that is over.

        Raises:
            StreamClosedError: it is over.
        """
        # A replay may be through before the notebook says what it said when it was recorded.
        late = self.state == "ended" and self.service.endpoint.is_replay
        if not self.is_active and not late:
            raise StreamClosedError(
                f"cannot {verb}: the stream is over ({self.status}); restart() runs it again",
                reason=self.note,
            )

    # ---- the end ----

    async def close(self, reason: str = "closed by its user", *, drain: bool = True) -> None:
        """End the stream; idempotent. ``drain`` calls the callbacks that wait, for a second."""
        until = asyncio.get_running_loop().time() + CLOSE_SECONDS - CALLBACK_SECONDS
        self._closes += 1
        if (restart := self._restart) is not None:
            self._close_reason = reason
            restart.cancel()
            await asyncio.wait([restart])
        await self._end_run(reason)
        self._finish_left()
        if not await self.journal.recorded(max(until - asyncio.get_running_loop().time(), 0)):
            unfinished = (follower for follower in self.journal.followers if follower.over)
            files = ", ".join(follower.label for follower in unfinished)
            logger.warning("%s is still being written; recorder.close() waits for it", files)
        if drain and not await self.callbacks.drain(CALLBACK_SECONDS):
            self.callbacks.cancel()

    async def _end_run(self, reason: str) -> None:
        await self._stop(self._beginning, reason)
        await self._stop(self._main, reason)  # it may have begun just then

    async def _stop(self, task: asyncio.Task[None] | None, reason: str) -> None:
        if task is None or task.done():
            return
        if self._cancelled is not task:  # once: a second time would hit the clean-up
            self._cancelled = task
            self._close_reason = self._close_reason or reason
            # Soon: one that is cancelled before its first step never comes to its clean-up.
            asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait([task])

    def _forked(self) -> None:
        """In a child of ``os.fork()``: the threads and tasks are its parent's, and not here."""
        self._beginning = self._main = self._restart = None
        self._steering = asyncio.Lock()  # it may have been held
        self.callbacks.forked()
        self.journal.forked()
        self._finish("closed", "it goes on in the process that this one was forked from")
        self._on_start = _refuse_forked

    def _finish_left(self) -> None:
        """The run ended for a restart that will not come."""
        if self.is_active and self._main is not None and self._main.done():
            self._finish("closed", self._close_reason or "interrupted")

    async def wait_over(self, *, drain: bool) -> None:
        """Wait for the end, and (``drain``) until every callback was called."""
        await self._over.wait()
        await self.journal.recorded()
        if drain:
            await self.callbacks.drain()
            await self.journal.alerted()

    async def results_after(self, seen: int) -> list[StreamInferenceResult]:
        """The results from number ``seen`` on, as soon as there is one; [] at the end."""
        while len(self.journal.table) <= seen and not self._over.is_set():
            await self._reception.change()
        return self.journal.table.results_since(seen)


def _refuse_forked() -> None:
    why = "this stream belongs to the process that this one was forked from; make another here"
    raise StreamClosedError(why, why)
