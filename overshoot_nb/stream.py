"""``Stream``: one running analysis, its rows, its figures and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

from overshoot_nb.store.stats import counts_in_words

from .errors import MissingDependencyError
from .followed import Followed
from .recording.recordable import Recordable
from .running.lifecycle import CALLBACK_SECONDS
from .running.losses import ATTRS_KEY, attrs_of
from .running.run import Run
from .running.run_html import run_html
from .runtime.coroutines import coroutine
from .runtime.event_loop import Runtime
from .runtime.side_thread import in_side_thread
from .settings.stream_settings import StreamChanges, StreamSettings
from .store.frames import FrameStore
from .store.prompts import PromptHistory, PromptVersion, changes_to
from .store.sample_log import SampleLog
from .store.stats import StreamStats
from .support.notebook import in_kernel, show_notice
from .support.validation import check_text
from .tuning.tunable import Tunable
from .types import (
    Mode,
    SpectateResponse,
    StreamConfigResponse,
    StreamInferenceResult,
    StreamInfo,
    StreamState,
)

if TYPE_CHECKING:
    import pandas as pd

    from .widget import StreamWidget


class Stream(Tunable, Followed, Recordable):
    """A video being watched and asked about; made by ``client.streams.create(...)``.

    It runs on a thread of its own, so it goes on while a notebook cell blocks. Its coroutines
    can be awaited from any event loop; its properties can be read from anywhere at any time, also
    after the end. It is an async context manager (leaving it closes it) and an async iterable of
    every result from the first on::

        async with await client.streams.create(...) as stream:
            async for result in stream:
                print(result.media_time, result.result)
    """

    def __init__(self, life: Run, runtime: Runtime) -> None:
        # Made on the runtime's loop, by the client alone.
        self._run: Run = life
        self._runtime = runtime
        self._widget: StreamWidget | None = None

    # ---- what it is ----

    @property
    def stream_id(self) -> str:
        """Id of this stream, in every row, given by a v0.2 server; a restart begins a new one."""
        return self._run.stream_id

    @property
    def is_active(self) -> bool:
        """True while it is starting, running or paused."""
        return self._run.is_active

    @property
    def state(self) -> StreamState:
        """starting, running or paused; then ended, failed or closed."""
        return self._run.state

    @property
    def status(self) -> str:
        """The state and, where there is one, the reason or what is happening, in words."""
        return self._run.status

    @property
    def error(self) -> Exception | None:
        """What made it fail, or None."""
        return self._run.error

    @property
    def settings(self) -> StreamSettings:
        """Everything it is asked to do now, defaults filled in."""
        return self._run.settings

    @property
    def mode(self) -> Mode:
        """ "frame" or "clip"."""
        return self._run.settings.mode

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._run.settings.model

    @property
    def prompt(self) -> str:
        """The prompt in force."""
        return self._run.prompts.current.text

    @property
    def prompt_version(self) -> int:
        """1 at first, one more for each new prompt, model, schema, output limit or temperature.

        What was asked before is its earlier version again.
        """
        return self._run.prompts.current.version

    @property
    def prompts(self) -> PromptHistory:
        """Every prompt version so far: ``stream.prompts[1]`` is the first."""
        return self._run.prompts

    @property
    def duration(self) -> float | None:
        """Length of the video in seconds, or None where it has no end or does not say."""
        return self._run.duration

    # ---- what came of it ----

    @property
    def df(self) -> pd.DataFrame:
        """The rows so far as a pandas DataFrame; a snapshot that later rows never change.

        Columns are described at ``ResultTable``; behind them stand those of
        :meth:`backfill`. ``df.attrs["overshoot"]`` says what is known of the run: its source,
        status and drops, and whether it is complete (:func:`overshoot_nb.running.losses.attrs_of`).
        How it looks is pandas' own: JupyterLab takes dollar signs in it, which
        are the model's, for formulas and their links, unless (from pandas 3 on)
        ``pandas.options.display.html.use_mathjax = False``; ``df.overshoot.show()`` is text alone.
        """
        journal = self._run.journal
        frame = journal.table.df
        frame.attrs[ATTRS_KEY] = attrs_of(self._run)
        if journal.later.columns:
            from .tuning.side_columns import add_side_columns

            add_side_columns(frame, journal.later)
        return frame

    @property
    def frames(self) -> FrameStore:
        """The sampled pictures by sample index: the newest ``keep_frames`` bytes of them in memory.

        Older ones are on disk, where there is room for them, and found all the same. They are the
        very bytes that were sent. A v0.2 server takes its own pictures of the video: these are ours
        of the same moment.
        """
        return self._run.journal.frames

    @property
    def stats(self) -> StreamStats:
        """Figures of this moment: samples, results, errors, drops by reason, latencies, tokens."""
        return self._run.journal.counters.snapshot()

    @property
    def samples(self) -> SampleLog:
        """Time and fate of every sample by its index: ``stream.samples[12].fate``."""
        return self._run.journal.log

    @coroutine
    async def info(self) -> StreamInfo:
        """What whoever samples says of it: state, frame rate, sizes, counts of inferences.

        A v0.2 server is asked (its picture is 1280x720 at most); else it is worked out here.

        Raises:
            NotFoundError: a v0.2 server knows the stream no longer.
            OvershootError: the server cannot be reached.
        """
        return await self._runtime.call(self._run.describe())

    @coroutine
    async def spectate(self) -> SpectateResponse:
        """A LiveKit room where others can watch a v0.2 stream for 5 minutes.

        Raises:
            ValidationError: there is none; only ``transport="native"`` has one.
        """
        return await self._runtime.call(self._run.spectate())

    # ---- steering ----

    @coroutine
    async def update_prompt(self, prompt: str | PromptVersion) -> StreamConfigResponse:
        """Ask ``prompt`` from the next sample on; rows know which prompt made them.

        A :class:`PromptVersion` (``stream.prompts[1]``, ``PromptVersion.load(path)``) comes with
        its model, schema and limits.

        Raises:
            ValidationError: the prompt is empty, or a v0.2 server cannot change the rest.
            StreamClosedError: the stream is over.
            OvershootError: a v0.2 server refused it, or was not reached.
        """
        if not isinstance(prompt, PromptVersion):
            check_text("prompt", prompt)
            return await self.update(prompt=prompt)
        changes = changes_to(self.settings, prompt)
        return await self._runtime.call(self._run.update(changes, prompt.note))

    @coroutine
    async def update(self, **changes: Unpack[StreamChanges]) -> StreamConfigResponse:
        """Change the prompt, model, schema, output limit, temperature or interval while it runs.

        From the next sample on; all but a new interval is a new prompt version. The interval
        counts from the last frame chosen. Parameters as in ``client.streams.create``. On a v0.2
        server only the prompt can change.

        Raises:
            ValidationError: a value is not allowed, or cannot change while the stream runs (the
                mode, and the numbers of a clip): :meth:`restart` can.
            NotFoundError: the embedded engine does not have the model.
            StreamClosedError: the stream is over.
        """
        return await self._runtime.call(self._run.update(changes))

    @coroutine
    async def restart(self, **changes: Unpack[StreamChanges]) -> None:
        """Watch the source again from its start, also after the end; every row is kept.

        ``stream_id`` is another one from then on, which tells the rows of the runs apart; samples
        and prompt versions count on. ``changes`` are parameters of ``client.streams.create``.

        Raises:
            ValidationError: a value is not allowed.
            NotFoundError: the embedded engine does not have the model.
            SourceError: the source cannot be opened again; the stream has failed then.
            StreamClosedError: the stream's client was closed, or the stream meanwhile.
        """
        await self._runtime.call(
            self._run.restart(changes), undo=lambda _: self._run.close("interrupted")
        )

    @coroutine
    async def pause(self) -> None:
        """Take no samples until :meth:`resume`. A file stands still; a live source runs on.

        Raises:
            StreamClosedError: the stream is over.
        """
        await self._runtime.call(self._run.steer("paused"))

    @coroutine
    async def resume(self) -> None:
        """Go on after :meth:`pause`; does nothing when running.

        Raises:
            StreamClosedError: the stream is over.
        """
        await self._runtime.call(self._run.steer("running"))

    @property
    def selected(self) -> int | None:
        """Index of the sample that is selected in the widget, or None; can be set.

        ``stream.frames[stream.selected]`` is its picture, and
        ``stream.df[stream.df["sample"] == stream.selected]`` its row.

        Raises:
            ValidationError: on setting, there is no sample of that index.
        """
        return self._run.selected

    @selected.setter
    def selected(self, index: int | None) -> None:
        self._run.selected = index

    @coroutine
    async def wait(self, timeout: float | None = None) -> str:
        """Wait until the stream is over and every callback was called; returns its status.

        Raises:
            OvershootError: what made the stream fail.
            TimeoutError: it is not over after ``timeout`` seconds; it goes on.
        """
        return await self._over(timeout)

    async def _over(self, timeout: float | None, *, drain: bool = True) -> str:
        waited_for = drain and not (self._run.callbacks.inside() or in_side_thread())
        try:
            async with asyncio.timeout(timeout):
                await self._runtime.call(self._run.wait_over(drain=waited_for))
        except TimeoutError:
            raise TimeoutError(f"not over after {timeout:g} s: {self.status}") from None
        if not drain and not self._run.callbacks.inside():
            await self._runtime.call(self._run.callbacks.drain(CALLBACK_SECONDS))
        self._show_end()
        if self.error is not None:
            raise self.error
        return self.status

    def join(self, timeout: float | None = None) -> str:
        """:meth:`wait` for scripts: block until the stream is over; returns its status.

        Ctrl+C (the notebook's stop button) ends the waiting, and not the stream. Where the calling
        thread has a running loop, which stands still meanwhile, callbacks that wait for it have a
        second, and are called afterwards.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            OvershootError: what made the stream fail.
            TimeoutError: it is not over after ``timeout`` seconds; it goes on.
            RuntimeError: called on the streams' own event loop, in a coroutine callback, which
                would wait for itself: ``await stream.wait()`` there.
        """
        if self._runtime.in_loop():
            raise RuntimeError(
                "stream.join() would wait for the loop that it is called on: in a coroutine "
                "callback write `await stream.wait()`"
            )
        # Callbacks that wait for a loop which stands still here would never be over.
        drain = asyncio._get_running_loop() is None
        status = self._runtime.run(self._over(timeout, drain=drain))
        self._show_end()
        return status

    @coroutine(finish=True)
    async def close(self, reason: str = "closed by its user") -> None:
        """End the stream. Rows and frames stay. Idempotent, within 5 s whatever the network does.

        Results that came before are still handed to ``on_result`` (for at most a second). A
        recording that takes longer goes on being finished: ``recorder.close()`` waits for it.
        """
        drain = not self._run.callbacks.inside()
        await self._runtime.call(self._run.close(reason, drain=drain), finish=True)
        self._show_end()

    def _show_end(self) -> None:
        """Write the end into the cells that show the stream, before whoever waited goes on."""
        if self._widget is not None:
            self._widget.flush()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[StreamInferenceResult]:
        seen = 0
        while new := await self._runtime.call(self._run.results_after(seen)):
            seen += len(new)
            for result in new:
                yield result
        if self.error is not None:
            raise self.error

    # ---- how it looks ----

    @property
    def widget(self) -> StreamWidget:
        """The stream as a widget: video, controls and results. One model however often shown."""
        if self._widget is None or self._widget.let_go:
            from .widget import StreamWidget

            self._widget = StreamWidget(self._run, self)
        return self._widget

    def __repr__(self) -> str:
        return (
            f"<Stream {self.stream_id} of {self.settings.source.label}, {self.model}, "
            f"{self.status}; {counts_in_words(self.stats)}>"
        )

    def _repr_html_(self) -> str:
        return run_html(self._run)

    def _ipython_display_(self) -> None:
        if not in_kernel():
            raise NotImplementedError  # IPython takes the text or HTML
        try:
            widget = self.widget
        except MissingDependencyError as error:
            show_notice(str(error))
            raise NotImplementedError from error
        widget.show()

    def _display_(self) -> object:
        return self.widget  # what marimo asks for


async def close_unheld(stream: Stream) -> None:
    """Ends a stream whose maker was cancelled or interrupted before anybody had it."""
    await stream.close("interrupted")
