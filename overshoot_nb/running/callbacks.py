"""Calls the user's callbacks, in order, without ever holding up or breaking a stream.

Callbacks run on the event loop that awaited ``create()``, as with the service's SDK, so that a
callback may touch that loop's own objects (an ``asyncio.Queue``, an open connection). In a
notebook that loop stands still while a cell runs; then a plain function is called on a thread of
its own instead, so that results go on arriving, and a coroutine function waits for its loop.
Streams that were started without a loop (the magic) use the thread, and the runtime's loop for
coroutines.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from overshoot_nb.runtime.event_loop import start_thread

logger = logging.getLogger("overshoot_nb")

#: How long the creator's loop may take to begin a call before it counts as blocked.
PATIENCE_SECONDS = 0.2

_delivering: contextvars.ContextVar[CallbackQueue | None] = contextvars.ContextVar(
    "overshoot_callbacks", default=None
)

_Call = tuple[Callable[[Any], object], Any, bool]


class CallbackQueue:
    """Delivers calls one after another, on a thread that lives while there is work.

    Args:
        loop: the loop that created the stream, or None.
        fallback: the loop for coroutines when there is no other (the runtime's).
        on_error: called (through the same queue) with what a callback raised, be it a
            ``SystemExit``.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None,
        fallback: asyncio.AbstractEventLoop,
        on_error: Callable[[Any], object] | None,
    ) -> None:
        self._loop = loop if loop is not fallback else None
        self._fallback = fallback
        self._on_error = on_error
        self._context = contextvars.copy_context()
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._working = False
        self._cancelled = False
        self._current: concurrent.futures.Future[BaseException | None] | None = None

    def put(self, function: Callable[[Any], object], argument: Any) -> None:
        """Call ``function(argument)`` after everything that was put before."""
        self._enqueue(function, argument, report=True)

    def report(self, error: BaseException) -> None:
        """Call ``on_error`` of something that went wrong beside the stream, which goes on."""
        if self._on_error is not None:
            self._enqueue(self._on_error, error, report=False)

    def _enqueue(self, function: Callable[[Any], object], argument: Any, *, report: bool) -> None:
        with self._changed:
            if self._cancelled:
                return
            self._calls.append((function, argument, report))
            if not self._working:
                self._working = True
                self._context.copy().run(start_thread, self._work, "overshoot-callbacks")

    async def drain(self, timeout: float | None = None) -> bool:
        """Wait until everything was called; False when ``timeout`` seconds were not enough."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            with self._changed:
                if not self._working:
                    return True
            if deadline is not None and loop.time() > deadline:
                return False
            await asyncio.sleep(0.005)

    def cancel(self) -> None:
        """Forget what has not been called, and stop waiting for what is being awaited."""
        with self._changed:
            self._cancelled = True
            self._calls.clear()
            current = self._current
        if current is not None:
            current.cancel()

    def forked(self) -> None:
        """In a child of ``os.fork()``: nothing is called here any more."""
        self._changed = threading.Condition()  # it may have been held
        self._calls.clear()
        self._working, self._cancelled, self._current = False, True, None

    def inside(self) -> bool:
        """True in a callback of this queue, which must not wait for its own end."""
        return _delivering.get() is self

    def _work(self) -> None:
        _delivering.set(self)  # inherited by what is called on a loop from here
        while True:
            with self._changed:
                if not self._calls:
                    self._working = False
                    return
                function, argument, report = self._calls.popleft()
            try:
                self._call(function, argument)
            except BaseException as error:  # a SystemExit, too, would end this thread
                logger.warning("a callback raised %s: %s", type(error).__name__, error)
                logger.debug("in the callback %r", function, exc_info=error)
                # An error in on_error itself goes to the log alone, else it would go round.
                if self._on_error is not None and report:
                    self._enqueue(self._on_error, error, report=False)

    def _call(self, function: Callable[[Any], object], argument: Any) -> None:
        loop = self._loop
        if loop is None or loop.is_closed() or not loop.is_running():
            self._finish(function(argument), self._fallback)
            return
        turn = _Turn()

        def begin() -> None:
            if not turn.claim():
                return
            try:
                turn.value = function(argument)
            except BaseException as error:
                turn.error = error
            turn.done.set()

        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:  # closed in between
            self._finish(function(argument), self._fallback)
            return
        if inspect.iscoroutinefunction(function):
            while not turn.done.wait(PATIENCE_SECONDS):
                if self._cancelled or not loop.is_running():
                    if turn.claim():
                        return
                    turn.done.wait()
        elif not turn.done.wait(PATIENCE_SECONDS) and turn.claim():
            self._finish(function(argument), self._fallback)
            return
        turn.done.wait()
        if turn.error is not None:
            raise turn.error
        self._finish(turn.value, loop)

    def _finish(self, value: object, loop: asyncio.AbstractEventLoop) -> None:
        """Await what a callback returned, if it is awaitable."""
        if not inspect.isawaitable(value):
            return

        async def waiting() -> BaseException | None:
            try:
                await value
            except BaseException as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                    raise  # from outside: the loop ends, or the stream
                # Handed over: asyncio lets a SystemExit of a task out of its loop, which ends.
                return error
            return None

        future = asyncio.run_coroutine_threadsafe(waiting(), loop)
        with self._changed:
            self._current = future
            if self._cancelled:
                future.cancel()
        try:
            while not concurrent.futures.wait([future], PATIENCE_SECONDS).done:
                if not loop.is_running():
                    return  # its loop has gone, and the callback with it
            if not future.cancelled() and (error := future.result()) is not None:
                raise error
        finally:
            with self._changed:
                self._current = None


class _Turn:
    """One call that either the loop or the thread makes, whoever claims it first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed = False
        self.done = threading.Event()
        self.value: object = None
        self.error: BaseException | None = None

    def claim(self) -> bool:
        with self._lock:
            if self._claimed:
                return False
            self._claimed = True
            return True
