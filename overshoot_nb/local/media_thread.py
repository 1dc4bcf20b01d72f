"""The thread with the event loop that media, leases and the streams' inferences run on.

Requests come from any event loop, and these end before a stream does: a server may be stopped
and started again while its streams go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from overshoot_nb.runtime.event_loop import start_thread

T = TypeVar("T")

#: What is left may take this long to end.
CLOSE_SECONDS = 2.0


class ThreadEnded(Exception):
    """The media thread has ended, and runs nothing any more."""


class MediaThread:
    """A daemon thread with a loop of its own, started when first needed.

    A daemon also because threads inherit it: the decoders that aiortc starts must not keep an
    interpreter from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def call(self, coro: Coroutine[Any, Any, T]) -> T:
        """Await what runs on the thread's loop, from any other loop.

        Raises:
            ThreadEnded: it runs nothing any more.
        """
        try:
            # With the lock, what is begun is begun before the loop is told to stop.
            with self._lock:
                begun = asyncio.run_coroutine_threadsafe(coro, self._started())
        except ThreadEnded:
            coro.close()
            raise
        waiting = asyncio.wrap_future(begun)
        try:
            await asyncio.wait({waiting})
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if waiting.cancelled():  # by the thread's end: the caller was not cancelled, so it is told
            raise ThreadEnded
        return waiting.result()

    def post(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something on the thread's loop, soon; in order. Not after the end."""
        with contextlib.suppress(ThreadEnded), self._lock:
            self._started().call_soon_threadsafe(callback, *args)

    def spawn(self, coro: Coroutine[Any, Any, object]) -> None:
        """Start a task on the loop; on the loop's own thread only."""
        task = asyncio.get_running_loop().create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Let started tasks end, cancel what is left, end the thread. Idempotent."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        """The loop; with the lock held."""
        if self._closed:
            raise ThreadEnded
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.set_default_executor(ThreadPoolExecutor(1, "overshoot-local-clips"))
            serve = partial(self._serve, self._loop)
            self._thread = start_thread(serve, "overshoot-local-media")
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(self._finish())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSE_SECONDS)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
